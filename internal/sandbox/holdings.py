"""What the account holds, as moto itself keeps it: users with their keys and policies, and
secrets with their values. For tests that look from outside, past every API and every client.
"""

from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

ACCOUNT, PARTITION, REGION = "123456789012", "aws", "us-east-1"
STACK = "cloney:stack-id"  # the tag that names the stack


def holdings():
    # Lists of the moment: other threads go on changing what is listed.
    iam = iam_backends[ACCOUNT][PARTITION]
    secrets = secretsmanager_backends[ACCOUNT][REGION].secrets
    return {
        "users": [{
            "name": user.name,
            "stack": stack_of_user(iam, user),
            "keys": [{"id": key.access_key_id, "active": key.status == "Active", "secret": key.secret_access_key} for key in list(user.access_keys)],
            "policies": list(user.managed_policies),
        } for user in list(iam.users.values())],
        "policies": [{
            "arn": policy.arn,
            "stack": stack_of(list(policy.tags.values())),
            "document": next((version.document for version in list(policy.versions) if version.version_id == policy.default_version_id), ""),
        } for policy in list(iam.managed_policies.values()) if policy.path.startswith("/cloney/")],
        "secrets": [{
            "name": secret.name,
            "stack": stack_of(list(secret.tags or [])),
            "readers": secret.policy or "",
            "versions": [{"labels": list(version["version_stages"]), "value": version.get("secret_string")} for version in list(secret.versions.values())],
        } for secret in list(secrets.values())],
    }


def stack_of_user(iam, user):
    """Not by user.tags, which goes through moto's dictionary while another thread may tag the user or delete it."""
    return iam.tagger.tags.get(user.arn, {}).get(STACK, "")


def stack_of(tags):
    return next((tag["Value"] for tag in tags if tag["Key"] == STACK), "")
