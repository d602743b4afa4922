"""Resources of the examples that moto's CloudFormation does not know.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucketpolicy.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
"""

import json
import uuid

from cloudformation import own_types
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends


class Plain:
    """A resource without attributes, whose properties are put anew at each update."""

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


def install():
    own_types["AWS::S3::BucketPolicy"] = BucketPolicy
    own_types["AWS::SecretsManager::Secret"] = Secret
