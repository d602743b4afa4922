"""Rules of AWS that moto 5.2 does not keep, as far as the sandbox's users would notice.

What is not mended here is kept by our own strict account (internal/accesstest) instead.
"""

from moto.iam.exceptions import DeleteConflictException
from moto.iam.models import IAMBackend
from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

issued = []  # every secret access key that was made, for the tests that look for leaks


def wrap(owner, method):
    """Replaces owner.method by what the decorated function makes of the original."""

    def replace(function):
        original = getattr(owner, method)
        setattr(owner, method, lambda self, *arguments, **named: function(original, self, *arguments, **named))
        return function

    return replace


def install():
    # GetSecretValue without a stage answers AWSCURRENT, also after UpdateSecretVersionStage moved it.
    @wrap(SecretsManagerBackend, "get_secret_value")
    def get_secret_value(original, self, secret_id, version_id, version_stage):
        return original(self, secret_id, version_id, version_stage if version_id or version_stage else "AWSCURRENT")

    # In its recovery window a name is taken (InvalidRequestException, not ResourceExists).
    @wrap(SecretsManagerBackend, "create_secret")
    def create_secret(original, self, name, *arguments, **named):
        if name in self.secrets and self.secrets[name].is_deleted():
            raise InvalidRequestException("You can't create this secret because a secret with this name is already scheduled for deletion.")
        return original(self, name, *arguments, **named)

    # In its recovery window a secret takes no value.
    @wrap(SecretsManagerBackend, "put_secret_value")
    def put_secret_value(original, self, secret_id, *arguments, **named):
        if secret_id in self.secrets and self.secrets[secret_id].is_deleted():
            raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
        return original(self, secret_id, *arguments, **named)

    @wrap(IAMBackend, "create_access_key")
    def create_access_key(original, self, *arguments, **named):
        key = original(self, *arguments, **named)
        issued.append(key.secret_access_key)
        return key

    # A user with keys or groups is not deleted.
    @wrap(IAMBackend, "delete_user")
    def delete_user(original, self, user_name):
        user = self.get_user(user_name)
        if user.access_keys:
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        if any(user in group.users for group in self.groups.values()):
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        return original(self, user_name)

    # A policy that is attached, or has old versions, is not deleted.
    @wrap(IAMBackend, "delete_policy")
    def delete_policy(original, self, policy_arn):
        policy = self.get_policy(policy_arn)
        if policy.attachment_count:
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflictException("Before you delete a policy, you must delete all its versions.")
        return original(self, policy_arn)
