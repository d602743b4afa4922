"""References in a resource's properties, of the stack's own account and region. After all
functions, as AWS does: so Fn::Sub can make a name, and Fn::Split cannot split a value.

`{{resolve:ssm:NAME}}` is read when the resource is created and at each update of the stack.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-ssm.html

`{{resolve:secretsmanager:ID:SecretString:KEY:STAGE:VERSION}}` is read when the resource is created
or updated. A new value does not cause an update: AWS compares the text of the reference. A custom
resource is handed that text.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references-secretsmanager.html
"""

import contextlib
import contextvars
import json
import re

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

PARAMETER = re.compile(r"\{\{resolve:ssm:([^:{}]+(?::\d+)?)\}\}")
SECRET = re.compile(r"\{\{resolve:secretsmanager:(arn:(?:[^:{}]*:){5}[^:{}]+|[^:{}]+):SecretString(?::([^:{}]*))?(?::([^:{}]*))?(?::([^:{}]*))?\}\}")

unread = contextvars.ContextVar("unread", default=False)


@contextlib.contextmanager
def secrets_unread():
    """Leaves references to secrets as they are written."""
    previous = unread.set(True)
    try:
        yield
    finally:
        unread.reset(previous)


def parameter(match, account, region):
    found = ssm_backends[account][region].get_parameter(match[1])
    if found is None:
        raise ValidationError(message=f"Parameters: [ssm:{match[1]}] cannot be found.")
    return found.value


def secret(match, account, region):
    name, key, stage, version = match.groups()
    if stage and version:
        raise ValidationError(message="A reference to a secret has a version stage or a version id, not both.")
    found = secretsmanager_backends[account][region].get_secret_value(name, version or None, stage or ("" if version else "AWSCURRENT"))
    return json.loads(found["SecretString"])[key] if key else found["SecretString"]


def resolve(value, account, region):
    if isinstance(value, dict):
        return {key: resolve(inner, account, region) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, account, region) for inner in value]
    if not isinstance(value, str):
        return value
    value = PARAMETER.sub(lambda match: parameter(match, account, region), value)
    return value if unread.get() else SECRET.sub(lambda match: secret(match, account, region), value)


def install():
    parse = parsing.parse_resource

    def parse_and_resolve(resource_json, resources_map):
        parsed = parse(resource_json, resources_map)
        if not parsed:
            return parsed
        kind, cleaned, name = parsed
        account, region = resources_map["AWS::AccountId"], resources_map["AWS::Region"]
        return kind, {**cleaned, "Properties": resolve(cleaned["Properties"], account, region)}, name

    parsing.parse_resource = parse_and_resolve
