"""StackSets' API, in place of moto's: what the AWS CLI and the SDKs call.
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Operations.html
"""

import organization
import stacksets
from moto.cloudformation.exceptions import CloudFormationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from organization import refusal
from stackset_operations import PATIENCE, Operation, Preferences
from stacksets import Definition, StackSet

PAGE = 100  # entries, when a caller does not say MaxResults


# ---- what is asked ---------------------------------------------------------------------------


def named(pairs, key, value):
    return {pair[key]: pair.get(value) for pair in pairs or []}


def boolean(value):
    return value in (True, "true", "True")


class StackSets:
    """The API's actions, whose methods are put into moto's class of CloudFormation's. What they need of it is
    _get_param, current_account, region and _get_stack_from_s3_url: stackset_resource.py has its own."""

    def _delegated(self):
        return self._get_param("CallAs") == "DELEGATED_ADMIN"

    def _owner(self):
        return organization.acting_for(self.current_account, self._get_param("CallAs"))

    def _stack_set(self):
        return stacksets.find(self._owner(), self.region, self._get_param("StackSetName"), self._delegated())

    def _template(self):
        body, url = self._get_param("TemplateBody"), self._get_param("TemplateURL")
        if body and len(body.encode()) > stacksets.MOST_BYTES:
            raise refusal(f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to {stacksets.MOST_BYTES}")
        return self._get_stack_from_s3_url(url) if url else body

    def _tags(self, previous):
        given = self._get_param("Tags")
        return previous if given is None else named(given, "Key", "Value")

    def create_stack_set(self):
        owner, name = self._owner(), self._get_param("StackSetName")
        service_managed = self._get_param("PermissionModel") == "SERVICE_MANAGED"
        if service_managed:
            organization.check_service_managed(owner)
            if not self._get_param("AutoDeployment"):
                raise refusal("AutoDeployment must be specified for SERVICE_MANAGED permission model")
            if self._get_param("AdministrationRoleARN") or self._get_param("ExecutionRoleName"):
                raise refusal("AdministrationRoleARN and ExecutionRoleName cannot be specified for SERVICE_MANAGED permission model")
        elif self._delegated() or self._get_param("AutoDeployment"):
            raise refusal("CallAs DELEGATED_ADMIN and AutoDeployment are only supported in SERVICE_MANAGED permission model")
        if any(s.name == name and (s.owner, s.region, s.status) == (owner, self.region, "ACTIVE") for s in stacksets.sets):
            raise CloudFormationError("NameAlreadyExistsException", f"StackSet {name} already exists")
        definition = Definition(self._template(), named(self._get_param("Parameters"), "ParameterKey", "ParameterValue"), self._tags({}))
        made = StackSet(owner, self.region, name, definition, service_managed)
        made.capabilities = self._get_param("Capabilities") or []
        definition.check(service_managed, made.capabilities)
        if not service_managed:
            made.administration_role = f"arn:aws:iam::{owner}:role/AWSCloudFormationStackSetAdministrationRole"
            made.execution_role = "AWSCloudFormationStackSetExecutionRole"
        self._describe_anew(made)
        stacksets.sets.append(made)
        return ActionResult({"StackSetId": made.id})

    def _describe_anew(self, stack_set):
        """What Create and UpdateStackSet set in addition to the definition; what is not given stays."""
        stack_set.description = self._get_param("Description", stack_set.description)
        stack_set.administration_role = self._get_param("AdministrationRoleARN", stack_set.administration_role)
        stack_set.execution_role = self._get_param("ExecutionRoleName", stack_set.execution_role)
        if self._get_param("ManagedExecution"):
            stack_set.managed_execution = boolean(self._get_param("ManagedExecution").get("Active"))
        auto = self._get_param("AutoDeployment")
        if auto:
            stack_set.auto_deployment = {
                "Enabled": boolean(auto.get("Enabled")), "RetainStacksOnAccountRemoval": boolean(auto.get("RetainStacksOnAccountRemoval")),
                "DependsOn": auto.get("DependsOn") or []}

    def update_stack_set(self):
        stack_set = self._stack_set()
        previous = stack_set.definition
        template = previous.template if boolean(self._get_param("UsePreviousTemplate")) else self._template()
        if not template:
            raise refusal("Either Template URL or Template Body must be specified.")
        new = Definition(template, self._parameters(previous), self._tags(previous.tags))
        new.check(stack_set.service_managed, self._get_param("Capabilities") or [])

        def begin():
            # Kept also when the operation fails, and for accounts that join meanwhile.
            if new != stack_set.definition:
                for instance in stack_set.instances.values():
                    instance.outdate()
            stack_set.definition, stack_set.capabilities = new, self._get_param("Capabilities") or []
            self._describe_anew(stack_set)

        targets = self._targets(stack_set) if self._get_param("Regions") else None
        if targets is not None and self._get_param("AutoDeployment"):
            raise refusal("AutoDeployment cannot be specified together with DeploymentTargets or Regions")
        return self._operate(stack_set, "UPDATE", targets, begin=begin)

    def _parameters(self, previous):
        values = {}
        for parameter in self._get_param("Parameters") or []:
            name = parameter["ParameterKey"]
            if boolean(parameter.get("UsePreviousValue")):
                if name in previous.parameters:
                    values[name] = previous.parameters[name]
            else:
                values[name] = parameter.get("ParameterValue", "")
        return values

    def delete_stack_set(self):
        # A set that is not there is no error, so that the call can be repeated:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStackSet.html
        try:
            stack_set = self._stack_set()
        except CloudFormationError as failed:
            if failed.code != "StackSetNotFoundException":
                raise
            return EmptyResult()
        if stack_set.instances:
            raise CloudFormationError("StackSetNotEmptyException", "StackSet is not empty")
        stack_set.status = "DELETED"
        return EmptyResult()

    # ---- instances ---------------------------------------------------------------------------

    def create_stack_instances(self):
        stack_set = self._stack_set()
        units = self._units()
        targets = self._targets(stack_set)
        for unit in units:
            stack_set.units.setdefault(unit, [])
            stack_set.units[unit] += [region for region in self._get_param("Regions") if region not in stack_set.units[unit]]
        return self._operate(stack_set, "CREATE", targets, overrides=self._overrides(stack_set))

    def update_stack_instances(self):
        stack_set = self._stack_set()
        return self._operate(stack_set, "UPDATE", self._targets(stack_set), overrides=self._overrides(stack_set))

    def delete_stack_instances(self):
        stack_set = self._stack_set()
        targets, regions, units = self._targets(stack_set), self._get_param("Regions"), self._units()
        if not self._get_param("DeploymentTargets", {}).get("Accounts"):
            # Also those that came by a unit and have left the organization since; and nobody joins any more.
            targets |= {target: i.unit for target, i in stack_set.instances.items() if i.unit in units and i.region in regions}
            for unit in units:
                stack_set.units[unit] = [region for region in stack_set.units.get(unit, []) if region not in regions]
        return self._operate(stack_set, "DELETE", targets, retain=boolean(self._get_param("RetainStacks")))

    def _units(self):
        return (self._get_param("DeploymentTargets") or {}).get("OrganizationalUnitIds") or []

    def _overrides(self, stack_set):
        given = self._get_param("ParameterOverrides")
        if given is None:
            return None
        overrides = named(given, "ParameterKey", "ParameterValue")
        Definition(stack_set.definition.template, {**stack_set.definition.parameters, **overrides}, {}).check(False, ["CAPABILITY_NAMED_IAM"])
        return overrides

    def _targets(self, stack_set):
        """(account, region) -> organizational unit, of the accounts and regions that a request names."""
        regions = self._get_param("Regions") or []
        asked = self._get_param("DeploymentTargets") or {}
        accounts = asked.get("Accounts") or self._get_param("Accounts") or []
        units = asked.get("OrganizationalUnitIds") or []
        if not stack_set.service_managed:
            if units:
                raise refusal("DeploymentTargets with OrganizationalUnitIds is only supported in SERVICE_MANAGED permission model")
            return {(account, region): None for region in regions for account in sorted(accounts)}
        if self._get_param("Accounts") or not units:
            raise refusal("StackSets with SERVICE_MANAGED permission model can only have OrganizationalUnit as target")
        under = organization.accounts_under(stack_set.owner, units)
        how = asked.get("AccountFilterType") or "NONE"
        if how == "INTERSECTION":
            under = {account: unit for account, unit in under.items() if account in accounts}
        elif how == "DIFFERENCE":
            under = {account: unit for account, unit in under.items() if account not in accounts}
        elif how == "UNION":
            under |= {a: organization.units_above(stack_set.owner, a)[0] for a in accounts if organization.is_member(stack_set.owner, a)}
        return {(account, region): unit for region in regions for account, unit in under.items()}

    def _operate(self, stack_set, action, targets, **how):
        if stack_set.service_managed:
            organization.check_service_managed(stack_set.owner)
        operation = Operation(stack_set, action, targets, Preferences(self._get_param("OperationPreferences")), self._get_param("OperationId"), **how)
        operation.start(may_queue=stack_set.managed_execution)
        operation.done.wait(PATIENCE)
        return ActionResult({"OperationId": operation.id})

    # ---- what is described ------------------------------------------------------------------------

    def describe_stack_set(self):
        stack_set = self._stack_set()
        regions = dict.fromkeys(i.region for i in stack_set.instances.values())
        return ActionResult({"StackSet": {
            **summary(stack_set),
            "StackSetARN": stack_set.arn,
            "TemplateBody": stack_set.definition.template,
            "Parameters": parameters(stack_set.definition.parameters),
            "Tags": [{"Key": key, "Value": value} for key, value in stack_set.definition.tags.items()],
            "Capabilities": stack_set.capabilities,
            "AdministrationRoleARN": stack_set.administration_role,
            "ExecutionRoleName": stack_set.execution_role,
            "OrganizationalUnitIds": [unit for unit, there in stack_set.units.items() if there],
            "Regions": list(regions),
        }})

    def list_stack_sets(self):
        owner, status = self._owner(), self._get_param("Status")
        return self._page([summary(s) for s in stacksets.sets
                           if (s.owner, s.region) == (owner, self.region) and status in (None, s.status) and (s.service_managed or not self._delegated())])

    def list_stack_instances(self):
        account, region = self._get_param("StackInstanceAccount"), self._get_param("StackInstanceRegion")
        found = [i for i in list(self._stack_set().instances.values()) if account in (None, i.account) and region in (None, i.region)]
        for requested in self._get_param("Filters") or []:
            of = {"DETAILED_STATUS": "detailed_status", "LAST_OPERATION_ID": "operation_id"}[requested["Name"]]
            found = [i for i in found if getattr(i, of) == requested["Values"]]
        return self._page([instance(self._stack_set(), i) for i in sorted(found, key=lambda i: (i.account, i.region))])

    def describe_stack_instance(self):
        stack_set = self._stack_set()
        found = stack_set.instances.get((self._get_param("StackInstanceAccount"), self._get_param("StackInstanceRegion")))
        if found is None:
            raise CloudFormationError("StackInstanceNotFoundException", "The specified stack instance doesn't exist.")
        return ActionResult({"StackInstance": {**instance(stack_set, found), "ParameterOverrides": parameters(found.overrides)}})

    def list_stack_set_auto_deployment_targets(self):
        units = self._stack_set().units
        return self._page([{"OrganizationalUnitId": unit, "Regions": regions} for unit, regions in units.items() if regions])

    def _operation(self):
        requested = self._get_param("OperationId")
        for operation in self._stack_set().operations:
            if operation.id == requested:
                return operation
        raise CloudFormationError("OperationNotFoundException", f"Operation {requested} not found")

    def describe_stack_set_operation(self):
        operation, stack_set = self._operation(), self._stack_set()
        return ActionResult({"StackSetOperation": {
            **told(operation), "StackSetId": stack_set.id, "RetainStacks": operation.retain if operation.action == "DELETE" else None,
            "AdministrationRoleARN": stack_set.administration_role, "ExecutionRoleName": stack_set.execution_role}})

    def list_stack_set_operations(self):
        return self._page([told(operation) for operation in reversed(self._stack_set().operations)])

    def list_stack_set_operation_results(self):
        found = list(self._operation().results.values())
        for requested in self._get_param("Filters") or []:
            found = [result for result in found if result.status == requested["Values"]]
        return self._page([{"Account": r.account, "Region": r.region, "Status": r.status, "StatusReason": r.reason, "OrganizationalUnitId": r.unit,
                            "AccountGateResult": {"Status": "SKIPPED", "StatusReason": f"Function not found: arn:aws:lambda:{r.region}:{r.account}:function:AWSCloudFormationStackSetAccountGate"}}
                           for r in found])

    def _page(self, entries):
        start, size = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or PAGE)
        more = str(start + size) if start + size < len(entries) else None
        return ActionResult({"Summaries": entries[start:start + size], "NextToken": more})

    # ---- trusted access ----------------------------------------------------------------------

    def activate_organizations_access(self):
        organization.set_access(self.current_account, True)
        return EmptyResult()

    def deactivate_organizations_access(self):
        organization.set_access(self.current_account, False)
        return EmptyResult()

    def describe_organizations_access(self):
        return ActionResult({"Status": "ENABLED" if organization.has_access(self._owner()) else "DISABLED"})


def parameters(values):
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def summary(stack_set):
    return {"StackSetName": stack_set.name, "StackSetId": stack_set.id, "Description": stack_set.description, "Status": stack_set.status,
            "PermissionModel": "SERVICE_MANAGED" if stack_set.service_managed else "SELF_MANAGED",
            "AutoDeployment": stack_set.auto_deployment, "ManagedExecution": {"Active": stack_set.managed_execution}}


def instance(stack_set, of):
    return {"StackSetId": stack_set.id, "Region": of.region, "Account": of.account, "StackId": of.stack_id, "Status": of.status,
            "StatusReason": of.reason, "StackInstanceStatus": {"DetailedStatus": of.detailed_status},
            "OrganizationalUnitId": of.unit, "DriftStatus": "NOT_CHECKED", "LastOperationId": of.operation_id}


def told(operation):
    failed = sum(result.status == "FAILED" for result in operation.results.values())
    return {"OperationId": operation.id, "Action": operation.action, "Status": operation.status, "StatusReason": operation.status_reason,
            "CreationTimestamp": operation.created, "EndTimestamp": operation.ended,
            "OperationPreferences": operation.preferences.given, "StatusDetails": {"FailedStackInstancesCount": failed}}


def install():
    for name, method in vars(StackSets).items():
        if callable(method):
            setattr(CloudFormationResponse, name, method)
    # moto shapes its own StackSet for the answer; ours is in its final shape.
    for name in ("DescribeStackSetOutput.StackSet.Parameters", "DescribeStackSetOutput.StackSet.Tags"):
        CloudFormationResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.pop(name)
