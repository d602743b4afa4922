"""`{{resolve:ssm:NAME}}` in a resource's properties: a parameter of the stack's own account and
region, read when the resource is created and at each update of the stack.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html
"""

import re

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.ssm.models import ssm_backends

REFERENCE = re.compile(r"\{\{resolve:ssm:([^:{}]+(?::\d+)?)\}\}")


def resolve(value, account, region):
    if isinstance(value, dict):
        return {key: resolve(inner, account, region) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, account, region) for inner in value]
    if not isinstance(value, str):
        return value

    def read(match):
        parameter = ssm_backends[account][region].get_parameter(match[1])
        if parameter is None:
            raise ValidationError(message=f"Parameters: [ssm:{match[1]}] cannot be found.")
        return parameter.value

    return REFERENCE.sub(read, value)


def install():
    # After all functions, as AWS does: so Fn::Sub can make the name, and Fn::Split cannot split the value.
    parse = parsing.parse_resource

    def parse_and_resolve(resource_json, resources_map):
        parsed = parse(resource_json, resources_map)
        if not parsed:
            return parsed
        kind, cleaned, name = parsed
        account, region = resources_map["AWS::AccountId"], resources_map["AWS::Region"]
        return kind, {**cleaned, "Properties": resolve(cleaned["Properties"], account, region)}, name

    parsing.parse_resource = parse_and_resolve
