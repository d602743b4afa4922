"""The organization as StackSets sees it: who manages it, who may act for it, and which
accounts lie under an organizational unit. moto's own organizations backend holds it.
"""

from moto.cloudformation.exceptions import CloudFormationError
from moto.organizations.models import FakeDelegatedAdministrator, organizations_backends

PARTITION = "aws"
STACK_SETS = "member.org.stacksets.cloudformation.amazonaws.com"


def refusal(message):
    return CloudFormationError("ValidationError", message)


def backend_of(management):
    return organizations_backends[management][PARTITION]


def management_of(account):
    """The management account of an account's organization; None: it is in none."""
    if backend_of(account).org:
        return account
    return organizations_backends.master_accounts.get(account, (None,))[0]


def is_member(management, account):
    """Whether StackSets reaches the account: a member, not the management account."""
    return account != management and any(member.id == account for member in backend_of(management).accounts)


def units_above(management, account):
    """Ids of the organizational units that an account lies in: the nearest first, the root last."""
    backend = backend_of(management)
    parents = {unit.id: getattr(unit, "parent_id", None) for unit in backend.ou}
    above, unit = [], next((member.parent_id for member in backend.accounts if member.id == account), None)
    while unit:
        above.append(unit)
        unit = parents.get(unit)
    return above


def accounts_under(management, units):
    """Member accounts in these units and in those below: account -> the unit of ours that it lies in.

    Never the management account:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-associate-stackset-with-org.html
    """
    known = {unit.id for unit in backend_of(management).ou}
    for unit in units:
        if unit not in known:
            raise refusal(f"Invalid OU or root ID: {unit}")
    found = {}
    for member in backend_of(management).accounts:
        unit = next((unit for unit in units_above(management, member.id) if unit in units), None)
        if unit and member.id != management:
            found[member.id] = unit
    return dict(sorted(found.items()))


# ---- who may operate service-managed sets ----------------------------------------------------


def set_access(account, enabled):
    """ActivateOrganizationsAccess and its opposite. Enabling the service principal alone is not enough."""
    if not backend_of(account).org:
        raise refusal("You must be the management account of an organization before operating a SERVICE_MANAGED stack set")
    backend_of(account).stack_sets_access = enabled
    if enabled:
        backend_of(account).enable_aws_service_access(ServicePrincipal=STACK_SETS)


def has_access(management):
    return getattr(backend_of(management), "stack_sets_access", False)


def acting_for(account, call_as):
    """The account whose sets a call is about. The words are AWS's:
    https://github.com/hashicorp/terraform-provider-aws/issues/32536"""
    if call_as != "DELEGATED_ADMIN":
        return account
    management = management_of(account)
    admins = backend_of(management).admins if management else []
    if not any(admin.account.id == account and STACK_SETS in admin.services for admin in admins):
        raise refusal("Account used is not a delegated administrator")
    return management


def check_service_managed(owner):
    if not backend_of(owner).org:
        raise refusal("You must be the management account or delegated admin account of an organization before operating a SERVICE_MANAGED stack set")
    if not has_access(owner):
        raise refusal("You must enable organizations access to operate a service managed stack set")


def install():
    FakeDelegatedAdministrator.SUPPORTED_SERVICES.append(STACK_SETS)
