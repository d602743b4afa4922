"""Rules of AWS that moto 5.2 does not keep, as far as the sandbox's users would notice.

Each says what AWS does. What is not mended here is kept by our own strict account
(internal/accesstest) instead.
"""

import copy
import urllib.parse

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaFunction
from moto.core.responses import ActionResult, EmptyResult
from moto.iam import access_control
from moto.iam import models as iam
from moto.iam.exceptions import DeleteConflictException, NotFoundException
from moto.iam.responses import IamResponse
from moto.s3.exceptions import MissingBucket
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response
from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException, ResourceExistsException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend

issued = []  # every secret access key that was created, for the tests that look for leaks


def wrapping(owner, name):
    """Replaces a method by a function that gets the original as its first argument."""

    def decorate(function):
        original = getattr(owner, name)
        setattr(owner, name, lambda *arguments, **keywords: function(original, *arguments, **keywords))
        return function

    return decorate


def secrets_manager():
    # AWS: without a stage GetSecretValue means AWSCURRENT, wherever it has moved.
    def current(self):
        return next((id for id, version in self.versions.items() if "AWSCURRENT" in version["version_stages"]), None)

    FakeSecret.default_version_id = property(current, lambda self, _: None)

    # AWS: only AWSCURRENT and AWSPREVIOUS move by themselves; a version keeps its
    # other labels, and a label is on one version at a time.
    def reset_default_version(self, version, version_id):
        previous = self.default_version_id
        self.remove_version_stages_from_old_versions([*version["version_stages"], "AWSPREVIOUS"])
        if previous:
            self.versions[previous]["version_stages"].append("AWSPREVIOUS")
        self.versions[version_id] = version

    FakeSecret.reset_default_version = reset_default_version

    # AWS: DescribeSecret leaves out versions without a label.
    FakeSecret._form_version_ids_to_stages = lambda self: {
        id: version["version_stages"] for id, version in self.versions.items() if version["version_stages"]}

    # AWS: in its recovery window a secret's name cannot be used again, nor its
    # value written; a version that has a value never gets another.
    @wrapping(SecretsManagerBackend, "_check_with_existing_secrets_and_versions")
    def check(original, self, name, token, string, binary, on_create=False):
        secret = self.secrets.get(name)
        if isinstance(secret, FakeSecret):
            if secret.is_deleted():
                raise InvalidRequestException(
                    "You can't create this secret because a secret with this name is already scheduled for deletion." if on_create
                    else "You can't perform this operation on the secret because it was marked for deletion.")
            version = secret.versions.get(token) or {}
            value = version.get("secret_string"), version.get("secret_binary")
            if value != (None, None):
                if value == (string, binary):
                    return secret
                raise ResourceExistsException(
                    f"You can't use ClientRequestToken {token} because that value is already in use for a version of secret {secret.arn}.")
        return original(self, name, token, string, binary, on_create)

    # AWS: to take a label from a version one must name that version; AWSCURRENT
    # can move, but not vanish; a refused call changes nothing.
    @wrapping(SecretsManagerBackend, "update_secret_version_stage")
    def move(original, self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
        secret = self.secrets.get(secret_id)
        if secret is None:
            raise SecretNotFoundException()
        for version in (remove_from_version_id, move_to_version_id):
            if version and version not in secret.versions:
                raise InvalidParameterException(f"Not a valid version: {version}")
        holder = next((id for id, version in secret.versions.items() if version_stage in version["version_stages"]), None)
        if version_stage == "AWSCURRENT" and not move_to_version_id:
            raise InvalidParameterException(
                "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
        if remove_from_version_id and holder != remove_from_version_id:
            raise InvalidParameterException(f"Staging label {version_stage} is not attached to version {remove_from_version_id}.")
        if holder == move_to_version_id:
            return secret.arn, secret.name
        if holder and not remove_from_version_id:
            raise InvalidParameterException(
                f"The parameter RemoveFromVersionId can't be empty. Staging label {version_stage} is currently attached to version {holder}, "
                "so you must explicitly reference that version in RemoveFromVersionId.")
        if not holder:  # moto expects AWSCURRENT to be somewhere
            secret.versions[move_to_version_id]["version_stages"].append(version_stage)
            return secret.arn, secret.name
        return original(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)

    # AWS: nothing of a secret in its recovery window can be changed.
    for name in ("tag_resource", "untag_resource", "update_secret_version_stage"):
        @wrapping(SecretsManagerBackend, name)
        def alive(original, self, secret_id, *arguments, **keywords):
            secret = self.secrets.get(secret_id)
            if secret is not None and secret.is_deleted():
                raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
            return original(self, secret_id, *arguments, **keywords)


def identities():
    backend = iam.IAMBackend

    # AWS: DeleteUser is refused as long as anything is attached to the user.
    @wrapping(backend, "delete_user")
    def delete_user(original, self, user_name):
        user = self.get_user(user_name)
        for what, left in {
            "delete login profile": user.password, "delete access keys": user.access_keys, "delete signing certificates": user.signing_certificates,
            "delete MFA device": user.mfa_devices, "remove referenced objects": user.ssh_public_keys,
            "remove users from group": self.get_groups_for_user(user_name),
        }.items():
            if left:
                raise DeleteConflictException(f"Cannot delete entity, must {what} first.")
        original(self, user_name)

    # AWS: so is DeletePolicy while the policy is attached, is a boundary, or has
    # versions next to the default.
    @wrapping(backend, "delete_policy")
    def delete_policy(original, self, policy_arn):
        policy = self.get_policy(policy_arn)
        entities = [*self.users.values(), *self.roles.values(), *self.groups.values()]
        if any(policy_arn in entity.managed_policies for entity in entities):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if any(getattr(entity, "permissions_boundary_arn", None) == policy_arn for entity in entities):
            raise DeleteConflictException("Cannot delete a policy that is used as a permissions boundary.")
        if len(policy.versions) > 1:
            raise DeleteConflictException("This policy has more than one version. Before you delete a policy, you must delete the policy's versions.")
        original(self, policy_arn)

    # AWS: a stack's managed policy goes with the stack. moto leaves it.
    iam.ManagedPolicy.delete_from_cloudformation_json = staticmethod(
        lambda arn, _, account_id, region: iam.iam_backends[account_id][iam.get_partition(region)].delete_policy(arn))

    # Not AWS's: what tests look for where it must not be.
    @wrapping(backend, "create_access_key")
    def create_access_key(original, self, *arguments, **keywords):
        key = original(self, *arguments, **keywords)
        issued.append(key.secret_access_key)
        return key

    # AWS: an inactive key is refused as one that does not exist, and is not used by that.
    @wrapping(iam, "mark_account_as_visited")
    def visited(original, account_id, access_key, service, region):
        key = iam.iam_backends[account_id][iam.get_partition(region)].access_keys.get(access_key)
        if key is None or key.status == "Active":
            original(account_id=account_id, access_key=access_key, service=service, region=region)

    # AWS: a signature covers the body. Where a request has no query either, as GetFunction,
    # moto compares it with one of the headers in place of the empty body.
    @wrapping(access_control.IAMRequestBase, "_create_aws_request")
    def create_aws_request(original, self):
        request = original(self)
        if not self._body and self._method in ("GET", "HEAD", "DELETE"):
            request.data = b""
        return request

    @wrapping(access_control.IAMUserAccessKey, "__init__")
    def of_key(original, self, account_id, partition, access_key_id, headers):
        original(self, account_id=account_id, partition=partition, access_key_id=access_key_id, headers=headers)
        if self.backend.access_keys[access_key_id].status != "Active":
            raise access_control.CreateAccessKeyFailure(reason="InvalidId")

    # AWS: attaching twice is attaching once.
    @wrapping(iam.ManagedPolicy, "attach_to")
    def attach_to(original, self, entity):
        if self.arn not in entity.managed_policies:
            original(self, entity)

    # AWS: CreateUser attaches the permissions boundary, and GetUser shows it.
    @wrapping(IamResponse, "create_user")
    def create_user(original, self):
        boundary = self._get_param("PermissionsBoundary")
        if boundary and boundary not in self.backend.managed_policies:
            raise NotFoundException(f"Scope ARN: {boundary} does not exist or is not attachable.")
        result = original(self)
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = boundary
        return result

    # AWS: a user's boundary can be put on and taken off later too.
    def put_user_permissions_boundary(self):
        boundary = self._get_param("PermissionsBoundary")
        if boundary not in self.backend.managed_policies:
            raise NotFoundException(f"Scope ARN: {boundary} does not exist or is not attachable.")
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = boundary
        return EmptyResult()

    def delete_user_permissions_boundary(self):
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = None
        return EmptyResult()

    IamResponse.put_user_permissions_boundary = put_user_permissions_boundary
    IamResponse.delete_user_permissions_boundary = delete_user_permissions_boundary
    iam.User.permissions_boundary_arn = None
    iam.User.permissions_boundary = iam.Role.permissions_boundary

    # AWS: GetPolicyVersion's document is URL-encoded.
    @wrapping(IamResponse, "get_policy_version")
    def get_policy_version(original, self):
        found = self.backend.get_policy_version(self._get_param("PolicyArn"), self._get_param("VersionId"))
        shown = copy.copy(found)
        shown.document = urllib.parse.quote(found.document)
        return ActionResult({"PolicyVersion": shown})

    # AWS: a user has service-specific credentials, or an empty list of them.
    def list_service_specific_credentials(self):
        self.backend.get_user(self._get_param("UserName"))
        return ActionResult({"ServiceSpecificCredentials": []})

    IamResponse.list_service_specific_credentials = list_service_specific_credentials


def functions():
    # AWS: a function's code comes from a bucket of its own region, of whichever account. The words:
    # https://github.com/aws-samples/aws-codepipeline-bitbucket-integration/issues/7
    @wrapping(LambdaFunction, "_set_function_code")
    def set_function_code(original, self, code):
        def refuse(error, message):
            raise InvalidParameterValueException(f"Error occurred while GetObject. S3 Error Code: {error}. S3 Error Message: {message}")

        if "S3Bucket" in code:
            try:
                bucket = s3_backends[self.account_id][self.partition].get_bucket(code["S3Bucket"])
            except MissingBucket:
                refuse("NoSuchBucket", "The specified bucket does not exist")
            if bucket.region_name != self.region:
                refuse("PermanentRedirect", f"The bucket is in this region: {bucket.region_name}. Please use this region to retry the request")
            if bucket.keys.get(code["S3Key"]) is None:
                refuse("NoSuchKey", "The specified key does not exist.")
        original(self, code)

    # AWS: a template's tags are the function's.
    create = LambdaFunction.create_from_cloudformation_json
    update = LambdaFunction.update_from_cloudformation_json

    def with_tags(function, cloudformation_json):
        function.tags = {tag["Key"]: tag["Value"] for tag in cloudformation_json["Properties"].get("Tags", [])}
        return function

    LambdaFunction.create_from_cloudformation_json = classmethod(
        lambda _, name, json, *place, **rest: with_tags(create(name, json, *place, **rest), json))
    LambdaFunction.update_from_cloudformation_json = classmethod(
        lambda _, **of: with_tags(update(**of), of["cloudformation_json"]))


RESPONSES = "cloney-responses"  # the bucket to which events/ are answered


def responses():
    # AWS: a presigned URL needs no other right. The signatures of events/ are invented.
    @wrapping(S3Response, "_authenticate_and_authorize_s3_action")
    def authorize(original, self, bucket_name=None, key_name=None):
        if not (bucket_name == RESPONSES and self.method == "PUT" and "X-Amz-Signature" in self.querystring):
            original(self, bucket_name=bucket_name, key_name=key_name)


def install():
    secrets_manager()
    responses()
    identities()
    functions()
