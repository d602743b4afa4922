"""Automatic deployment: accounts that come into a targeted organizational unit get the sets'
stacks, accounts that leave it lose them.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-manage-auto-deployment.html
"""

import threading

import organization
import stacksets
from aws_rules import wrapping
from moto.organizations.models import OrganizationsBackend
from stackset_operations import PATIENCE, Operation, automatic


def covered(stack_set, units):
    """Regions in which an account below these units gets a stack: region -> the targeted unit."""
    return {region: unit for unit in reversed(units) for region in stack_set.units.get(unit, [])}


def automatic_sets(management):
    return [s for s in stacksets.sets
            if s.status == "ACTIVE" and s.owner == management and s.service_managed and s.auto_deployment["Enabled"]]


def in_order(found):
    """Sets after those that they depend on. That is said of deployments, not of removals."""
    done, order = set(), []

    def visit(stack_set):
        if stack_set.arn in done:
            return
        done.add(stack_set.arn)
        for other in found:
            if other.arn in stack_set.auto_deployment["DependsOn"]:
                visit(other)
        order.append(stack_set)

    for stack_set in found:
        visit(stack_set)
    return order


def operate(stack_set, action, targets, **how):
    """Does it, after whatever goes on in the set, and says whether it succeeded."""
    operation = Operation(stack_set, action, targets, automatic(), **how)
    operation.start(may_queue=True)
    operation.done.wait()
    return all(result.status == "SUCCEEDED" for result in operation.results.values())


def settle(management, account):
    """Gives an account the stacks of the units that it lies in now, and takes the others: the others first.

    In which order AWS removes is not said anywhere. Here it is the order in which the sets were made, so that
    a test can have either order.
    """
    found, units = automatic_sets(management), organization.units_above(management, account)
    for stack_set in found:
        covered_by = covered(stack_set, units)
        leaving = {target: i.unit for target, i in list(stack_set.instances.items())
                   if i.account == account and i.unit and i.unit != covered_by.get(i.region)}
        if leaving:
            operate(stack_set, "DELETE", leaving, retain=stack_set.auto_deployment["RetainStacksOnAccountRemoval"])
    failed = set()
    for stack_set in in_order(found):
        joining = {(account, region): unit for region, unit in covered(stack_set, units).items() if (account, region) not in stack_set.instances}
        if not joining:
            continue
        if failed & set(stack_set.auto_deployment["DependsOn"]) or not operate(stack_set, "CREATE", joining):
            failed.add(stack_set.arn)


def settle_soon(management, account):
    if account == management:
        return
    worker = threading.Thread(target=settle, args=(management, account), daemon=True)
    worker.start()
    worker.join(PATIENCE)


def install():
    @wrapping(OrganizationsBackend, "move_account")
    def move_account(original, self, **request):
        original(self, **request)
        settle_soon(self.account_id, request["AccountId"])

    # A new account lies in the root.
    @wrapping(OrganizationsBackend, "create_account")
    def create_account(original, self, **request):
        status = original(self, **request)
        settle_soon(self.account_id, status["CreateAccountStatus"]["AccountId"])
        return status
