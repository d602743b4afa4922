"""Who is let in by the policy of what is asked for, which moto does not look at.

A secret of another account is read if its policy names the caller; moto keeps accounts apart.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html
A role is assumed only by those that its trust policy names; moto lets everyone.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
A statement of a bucket's policy binds those whom its condition names; moto has a Deny bind all.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
"""

import fnmatch
import json
import re

from aws_rules import wrapping
from flask import request
from moto.iam.access_control import IAMPolicy
from moto.iam.models import iam_backends
from moto.s3.models import FakeBucket
from moto.secretsmanager.exceptions import InvalidRequestException, SecretsManagerClientError
from moto.secretsmanager.models import SecretsManagerBackend, secretsmanager_backends
from moto.secretsmanager.responses import SecretsManagerResponse
from moto.sts.exceptions import STSClientError
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse


def caller_of(response):
    """The ARN of the role whose session called, and the caller's own account."""
    account = response.current_account
    session = sts_backends[account][response.partition].get_assumed_role_from_access_key(response.access_key)
    return session.role_arn if session else f"arn:aws:iam::{account}:root", account


def names(principal, role, account):
    named = principal if isinstance(principal, str) else (principal or {}).get("AWS", [])
    named = [named] if isinstance(named, str) else named
    return bool({"*", role, account, f"arn:aws:iam::{account}:root"} & set(named))


def lets_in(policy, action, role, account):
    """What a resource policy says of a caller. Conditions are not judged: the provider writes none, and
    those of trust policies bind organizations."""
    statements = json.loads(policy or "{}").get("Statement", [])
    effects = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if names(statement.get("Principal"), role, account) and {action, "secretsmanager:*", "*"} & set(actions):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


def caller_of_s3(account):
    """The ARN of the user who signed the request that is being answered; None: nobody's key."""
    key = re.search(r"Credential=([^/]+)/", request.headers.get("Authorization", ""))
    user = key and iam_backends[account]["aws"].get_user_from_access_key_id(key[1])
    return user.arn if user else None


def bound(statements, caller):
    """Those that bind a caller. A condition on the caller's ARN is judged here, and then removed; moto judges the others."""
    for statement in statements:
        named = statement.get("Condition", {}).get("ArnNotEquals", {}).get("aws:PrincipalArn")
        if named is None:
            yield statement
        elif not any(caller and fnmatch.fnmatchcase(caller, arn) for arn in ([named] if isinstance(named, str) else named)):
            yield {name: value for name, value in statement.items() if name != "Condition"}


def buckets():
    @wrapping(FakeBucket, "get_permission")
    def permission(original, self, action, resource):
        if self.policy is None or b"ArnNotEquals" not in self.policy:
            return original(self, action, resource)
        statements = bound(json.loads(self.policy)["Statement"], caller_of_s3(self.account_id))
        return IAMPolicy(json.dumps({"Statement": list(statements)})).is_action_permitted(action, resource)


def install():
    secrets()
    roles()
    buckets()


def roles():
    @wrapping(TokenResponse, "assume_role")
    def assume_role(original, self):
        arn = self._get_param("RoleArn")
        iam = iam_backends[arn.split(":")[4]][self.partition]
        role = next((role for role in list(iam.roles.values()) if role.arn == arn), None)
        # A role that nobody created here is one that AWS creates in each account, for administrators.
        if role and not lets_in(role.assume_role_policy_document, "sts:AssumeRole", *caller_of(self)):
            raise STSClientError("AccessDenied", f"User: {caller_of(self)[0]} is not authorized to perform: sts:AssumeRole on resource: {arn}")
        return original(self)


def secrets():
    backend_of_caller = SecretsManagerResponse.backend.fget

    def backend(self):
        """The backend of the account that the secret's ARN names. Only two methods look there."""
        return getattr(self, "owner", None) or backend_of_caller(self)

    SecretsManagerResponse.backend = property(backend)
    for method, action in {"get_secret_value": "GetSecretValue", "describe_secret": "DescribeSecret"}.items():
        @wrapping(SecretsManagerResponse, method)
        def read(original, self, action=action):
            identifier = self._get_param("SecretId")
            parts = identifier.split(":")
            if len(parts) < 7 or parts[4] == self.current_account:
                return original(self)
            owner = secretsmanager_backends[parts[4]][self.region]
            secret = owner.secrets.get(identifier) if parts[3] == self.region else None
            role, account = caller_of(self)
            # AWS does not say whether there is such a secret.
            if secret is None or not lets_in(secret.policy, f"secretsmanager:{action}", role, account):
                raise SecretsManagerClientError(
                    "AccessDeniedException",
                    f"User: {role} is not authorized to perform: secretsmanager:{action} on resource: {identifier} "
                    f"because no resource-based policy allows the secretsmanager:{action} action")
            if action == "GetSecretValue" and secret.kms_key_id in (None, SecretsManagerBackend.DEFAULT_KMS_KEY_ALIAS):
                raise InvalidRequestException(
                    "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
            self.owner = owner
            return original(self)
