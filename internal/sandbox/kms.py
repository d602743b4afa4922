"""KMS keys in templates, as CloudFormation makes them: with their policy as text, which moto
leaves a dict that its own DescribeKey cannot read; multi-region keys, which moto makes
single-region ones, with AWS's form of id; and replicas, which moto does not know.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-kms-key.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-kms-replicakey.html
"""

import json
import re

from aws_rules import wrapping
from cloudformation import own_types
from moto.kms import models
from moto.kms.models import Key, kms_backends
from moto.kms.responses import KmsResponse


def describe(key, properties):
    """What an update changes in place, of a key and of a replica."""
    key.policy = json.dumps(properties["KeyPolicy"])
    key.description = properties.get("Description", "")
    return key


def update(original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    return describe(original_resource, cloudformation_json["Properties"])


def create_key(resource_name, cloudformation_json, account_id, region_name, **_):
    properties = cloudformation_json["Properties"]
    key = kms_backends[account_id][region_name].create_key(
        policy=None,
        key_usage="ENCRYPT_DECRYPT",
        key_spec="SYMMETRIC_DEFAULT",
        description="",
        tags=properties.get("Tags", []),
        multi_region=properties.get("MultiRegion", False),
    )
    key.key_rotation_status = properties.get("EnableKeyRotation", False)
    key.enabled = properties.get("Enabled", True)
    return describe(key, properties)


def create_replica(resource_name, cloudformation_json, account_id, region_name, **_):
    properties = cloudformation_json["Properties"]
    _, _, _, primary_region, owner, key = properties["PrimaryKeyArn"].split(":")
    primary = kms_backends[owner][primary_region]
    return describe(primary.replicate_key(key.removeprefix("key/"), region_name), properties)


class ReplicaKey:
    """Makes replicas. A replica is a Key of moto's, in its own region."""

    has_cfn_attr = Key.has_cfn_attr
    create_from_cloudformation_json = staticmethod(create_replica)
    update_from_cloudformation_json = staticmethod(update)


def install():
    own_types["AWS::KMS::ReplicaKey"] = ReplicaKey
    Key.create_from_cloudformation_json = staticmethod(create_key)
    Key.update_from_cloudformation_json = staticmethod(update)

    # AWS: the id of a multi-region key is mrk- and 32 characters, without hyphens.
    @wrapping(models, "generate_key_id")
    def generate_key_id(original, multi_region=False):
        key_id = original(multi_region)
        return "mrk-" + key_id.removeprefix("mrk-").replace("-", "") if multi_region else key_id

    @wrapping(KmsResponse, "_validate_cmk_id")
    def validate(original, self, key_id):
        if not re.fullmatch("mrk-[0-9a-f]{32}", key_id) or key_id not in self.kms_backend.keys:
            original(self, key_id)
