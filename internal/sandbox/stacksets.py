"""Stack sets: their definition, their instances, and what an instance does in its account.

An instance's stack is an ordinary one of the member's own backend, made and changed by
cloudformation.py, so that custom resources run in it. moto's own stack sets are not used:
an update of theirs changes nothing, and a failure is not seen.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-concepts.html
"""

import dataclasses
import threading
import uuid

import cloudformation
import organization
from cloudformation import Failed
from moto.cloudformation.exceptions import CloudFormationError
from moto.cloudformation.models import Stack, cloudformation_backends
from moto.iam.models import iam_backends
from organization import refusal

sets = []  # all that were ever created, the first one first

MOST_BYTES = 51200  # of a TemplateBody; a TemplateURL's may be larger

# Resources for which a caller has to say CAPABILITY_IAM; with a name of their own CAPABILITY_NAMED_IAM.
IAM_NAMES = {
    "AWS::IAM::AccessKey": None, "AWS::IAM::Group": "GroupName", "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName", "AWS::IAM::Policy": None, "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName", "AWS::IAM::UserToGroupAddition": None,
}


@dataclasses.dataclass
class Definition:
    """What the stacks of a set are made of."""

    template: str
    parameters: dict
    tags: dict

    def check(self, service_managed, capabilities):
        try:
            template = Stack.parse_template(self.template)
            resources = template["Resources"]
        except Exception as failed:
            raise refusal(f"Template format error: {failed}") from None
        if service_managed:
            check_plain(template)
        for resource in resources.values():
            check_capabilities(resource, capabilities)
        slots = template.get("Parameters") or {}
        unknown = sorted(self.parameters.keys() - slots.keys())
        if unknown:
            raise refusal(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        without = sorted(name for name, slot in slots.items() if "Default" not in slot and name not in self.parameters)
        if without:
            raise refusal(f"Parameters: [{', '.join(without)}] must have values")


def check_plain(template):
    """A service-managed set takes no transform, no nested stack and no set of sets:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html"""
    if "Transform" in template or mentions_transform(template):
        raise refusal("Transform is not supported in SERVICE_MANAGED permission model")
    for resource in template["Resources"].values():
        if resource["Type"] in ("AWS::CloudFormation::Stack", "AWS::CloudFormation::StackSet"):
            what = "StackSet" if resource["Type"].endswith("Set") else "Nested stack"
            raise refusal(f"{what} resource is not supported in SERVICE_MANAGED permission model")


def mentions_transform(value):
    if isinstance(value, list):
        return any(map(mentions_transform, value))
    return isinstance(value, dict) and ("Fn::Transform" in value or any(map(mentions_transform, value.values())))


def check_capabilities(resource, capabilities):
    if resource["Type"] not in IAM_NAMES:
        return
    named = IAM_NAMES[resource["Type"]] in (resource.get("Properties") or {})
    required = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"
    if not {required, "CAPABILITY_NAMED_IAM"} & set(capabilities):
        raise CloudFormationError("InsufficientCapabilitiesException", f"Requires capabilities : [{required}]")


class StackSet:
    def __init__(self, owner, region, name, definition, service_managed):
        self.owner, self.region, self.name, self.definition, self.service_managed = owner, region, name, definition, service_managed
        self.id = f"{name}:{uuid.uuid4()}"
        self.arn = f"arn:{organization.PARTITION}:cloudformation:{region}:{owner}:stackset/{self.id}"
        self.status, self.description, self.capabilities = "ACTIVE", None, []
        self.administration_role, self.execution_role = None, None
        self.auto_deployment = None
        self.managed_execution = False
        self.instances = {}  # (account, region) -> Instance
        self.units = {}  # organizational unit -> regions in which its accounts get a stack
        self.operations = []  # the first one first
        self.turn = threading.Condition()

    def check_reach(self, account):
        """StackSets works in an account by a role there. It is AWS's own as long as the account is in the
        organization; a self-managed one is made by hand."""
        if self.service_managed:
            role = "stacksets-exec-" + self.id[-32:].replace("-", "")
            trusted = "aws-service-role/stacksets.cloudformation.amazonaws.com/AWSServiceRoleForCloudFormationStackSetsOrgAdmin"
            there = organization.is_member(self.owner, account)
        else:
            role = self.execution_role
            trusted = self.administration_role.rsplit("/", 1)[-1]
            there = any(found.name == role for found in list(iam_backends[account][organization.PARTITION].roles.values()))
        if not there:
            raise Failed(f"Account {account} should have '{role}' role with trust relationship to Role '{trusted}'.")


class Instance:
    """The stack of a set in one account and region, or the lack of one."""

    def __init__(self, account, region, unit):
        self.account, self.region, self.unit = account, region, unit
        self.overrides = {}
        self.stack_id = None
        self.status, self.detailed_status, self.reason = "OUTDATED", "PENDING", None
        self.operation_id = None

    @property
    def backend(self):
        return cloudformation_backends[self.account][self.region]

    def become(self, status, detailed_status, reason=None):
        self.status, self.detailed_status, self.reason = status, detailed_status, reason

    def outdate(self):
        if self.status == "CURRENT":
            self.become("OUTDATED", "PENDING")

    def deploy(self, name, definition):
        """Brings the stack to the set's definition, or raises why not."""
        parameters = {**definition.parameters, **self.overrides}
        stack = self.backend.stacks.get(self.stack_id)
        if stack is None:
            self.create(name, definition, parameters)
        elif not cloudformation.is_unchanged(stack, definition.template, parameters, definition.tags):
            seen = len(stack.events)
            cloudformation.change(self.backend, stack, definition.template, parameters, definition.tags)
            if stack.status != "UPDATE_COMPLETE":
                raise Failed(why(stack, seen))

    def create(self, name, definition, parameters):
        stack = self.backend.create_stack(
            name=f"StackSet-{name}-{uuid.uuid4()}", template=definition.template, parameters=parameters, tags=dict(definition.tags))
        self.stack_id = stack.stack_id
        if stack.status == "CREATE_COMPLETE":
            return
        # AWS leaves no stack behind, and its events are found under its id alone:
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-troubleshooting.html
        reason = why(stack, 0)
        self.backend.delete_stack(stack.stack_id)
        raise Failed(reason)

    def remove(self):
        """Deletes the stack, or raises why not."""
        stack = self.backend.stacks.get(self.stack_id)
        if stack is None:
            return
        seen = len(stack.events)
        self.backend.delete_stack(stack.stack_id)
        if stack.status != "DELETE_COMPLETE":
            raise Failed(why(stack, seen))


def why(stack, seen):
    """What failed first in a stack, in the words of an instance's StatusReason."""
    for event in stack.events[seen:]:
        if event.resource_status.endswith("_FAILED") and event.logical_resource_id != stack.name:
            return (f"ResourceLogicalId:{event.logical_resource_id}, ResourceType:{event.resource_type}, "
                    f"ResourceStatusReason:{event.resource_status_reason}.")
    return next((event.resource_status_reason for event in reversed(stack.events[seen:]) if event.resource_status_reason), stack.status)


def find(owner, region, name, delegated):
    """The set of a name or id. A delegated administrator sees the service-managed ones alone."""
    for stack_set in sets:
        if (stack_set.owner, stack_set.region) == (owner, region) and name in (stack_set.name, stack_set.id, stack_set.arn):
            if stack_set.status == "ACTIVE" and (stack_set.service_managed or not delegated):
                return stack_set
    raise CloudFormationError("StackSetNotFoundException", f"StackSet {name} not found")
