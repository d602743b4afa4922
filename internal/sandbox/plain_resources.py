"""Resources of our templates that moto's CloudFormation does not know.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucketpolicy.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-resourcepolicy.html
"""

import json
import uuid

import invocation
from cloudformation import Failed, own_types
from moto.awslambda.utils import get_backend as lambda_backend
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends


class Plain:
    """A resource without attributes, whose properties are put again at each update."""

    def __init__(self, name, properties, account, region):
        self.name, self.properties, self.account, self.region = name, properties, account, region

    @classmethod
    def has_cfn_attr(cls, _attribute):
        return False

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        made = cls(resource_name, cloudformation_json["Properties"], account_id, region_name)
        made.create()
        return made

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        original_resource.properties = cloudformation_json["Properties"]
        original_resource.update()
        return original_resource


class BucketPolicy(Plain):
    @property
    def physical_resource_id(self):
        return self.properties["Bucket"]

    def create(self):
        # A Deny whose condition nobody judges here (other_accounts.py) would bind everybody in moto: it is not put.
        if any(set(statement.get("Condition", {})) - {"ArnNotEquals"} for statement in self.properties["PolicyDocument"]["Statement"]):
            return
        s3_backends[self.account]["aws"].put_bucket_policy(self.properties["Bucket"], json.dumps(self.properties["PolicyDocument"]).encode())

    update = create

    def delete(self, _account_id=None, _region_name=None):
        s3_backends[self.account]["aws"].delete_bucket_policy(self.properties["Bucket"])


class Secret(Plain):
    @property
    def secrets(self):
        return secretsmanager_backends[self.account][self.region]

    @property
    def physical_resource_id(self):
        return self.arn

    def create(self):
        made = self.secrets.create_secret(self.name, self.properties["SecretString"], None, self.properties.get("Description"), [], None, None, [], False)
        self.arn = json.loads(made)["ARN"]

    def update(self):
        self.secrets.update_secret(self.name, self.properties["SecretString"], client_request_token=str(uuid.uuid4()))

    def delete(self, _account_id=None, _region_name=None):
        self.secrets.delete_secret(self.name, None, True)


class ResourcePolicy(Plain):
    """The policy of a function, which is one: AWS creates none next to another one, nor next to what AddPermission wrote."""

    @property
    def physical_resource_id(self):
        return self.properties["ResourceArn"]

    def create(self):
        function = lambda_backend(self.account, self.region).get_function(self.physical_resource_id)
        if self.physical_resource_id in invocation.policies or function.policy.statements:
            raise Failed(f"Resource of type 'AWS::Lambda::ResourcePolicy' with identifier '{self.physical_resource_id}' already exists.")
        self.update()

    def update(self):
        invocation.put(self.physical_resource_id, self.properties["PolicyDocument"])

    def delete(self, _account_id=None, _region_name=None):
        invocation.policies.pop(self.physical_resource_id, None)


def install():
    own_types["AWS::Lambda::ResourcePolicy"] = ResourcePolicy
    own_types["AWS::S3::BucketPolicy"] = BucketPolicy
    own_types["AWS::SecretsManager::Secret"] = Secret
