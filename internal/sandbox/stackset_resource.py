"""`AWS::CloudFormation::StackSet` as a resource of a stack: the set and its instances.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stackset.html
"""

from cloudformation import Failed, own_types
from moto.cloudformation.utils import get_stack_from_s3_url
from stackset_api import StackSets

# What a resource has in addition to what the API's CreateStackSet takes.
OF_OPERATIONS = ("StackInstancesGroup", "OperationPreferences")


class Declared(StackSets):
    """Calls of the API by a stack, each of which is waited for."""

    def __init__(self, account, region, given):
        self.current_account, self.region, self.given = account, region, given

    def _get_param(self, name, default=None):
        return self.given.get(name, default)

    def _get_stack_from_s3_url(self, url):
        return get_stack_from_s3_url(url, account_id=self.current_account, partition="aws")

    def _operate(self, stack_set, action, targets, **how):
        answer = super()._operate(stack_set, action, targets, **how)
        operation = next(o for o in stack_set.operations if o.id == answer.result["OperationId"])
        operation.done.wait()
        if operation.status != "SUCCEEDED":
            reasons = [result.reason for result in operation.results.values() if result.status == "FAILED"]
            raise Failed(f"Operation {operation.id} has failed: {' '.join(reasons)}")
        return answer


class StackSetResource:
    def __init__(self, account, region, properties):
        self.account, self.region, self.properties, self.stack_set_id = account, region, properties, None

    @property
    def physical_resource_id(self):
        return self.stack_set_id

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "StackSetId"

    def get_cfn_attribute(self, _attribute_name):
        return self.stack_set_id

    def call(self, **more):
        common = {name: self.properties[name] for name in ("CallAs", "OperationPreferences") if name in self.properties}
        return Declared(self.account, self.region, {"StackSetName": self.properties["StackSetName"], **common, **more})

    def definition(self):
        return {name: value for name, value in self.properties.items() if name not in OF_OPERATIONS}

    def groups(self):
        return self.properties.get("StackInstancesGroup") or []

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        made = cls(account_id, region_name, {"StackSetName": resource_name, **cloudformation_json["Properties"]})
        made.stack_set_id = made.call(**made.definition()).create_stack_set().result["StackSetId"]
        try:
            made.deploy()
        except Failed:
            made.delete()
            raise
        return made

    def deploy(self):
        for group in self.groups():
            self.call(**group).create_stack_instances()

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        former_groups = original_resource.groups()
        original_resource.properties = {**cloudformation_json["Properties"], "StackSetName": original_resource.properties["StackSetName"]}
        for group in former_groups:
            if group not in original_resource.groups():
                original_resource.take_away(group)
        original_resource.call(**original_resource.definition()).update_stack_set()
        original_resource.deploy()
        return original_resource

    def take_away(self, group):
        """Deletes a group's instances, as far as no other group has them."""
        kept = {(str(other.get("DeploymentTargets")), region) for other in self.groups() if other != group for region in other["Regions"]}
        regions = [region for region in group["Regions"] if (str(group.get("DeploymentTargets")), region) not in kept]
        if regions:
            self.call(**{**group, "Regions": regions}).delete_stack_instances()

    def delete(self, _account_id=None, _region_name=None):
        for group in self.groups():
            self.call(**group).delete_stack_instances()
        self.call().delete_stack_set()


def install():
    own_types["AWS::CloudFormation::StackSet"] = StackSetResource
