"""Where moto 5.2 is laxer than AWS, or lacks something, in what the sandbox shows.

Each fix says what AWS does. What is not mended here the sandbox does not claim.
"""

import copy
import json
import urllib.parse

import yaml
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.cloudformation import parsing
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult
from moto.iam import models as iam
from moto.iam.exceptions import DeleteConflictException, NotFoundException
from moto.iam.responses import IamResponse
from moto.logs.models import LogGroup
from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException, ResourceExistsException, SecretNotFoundException
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.utilities.utils import get_partition


def wrapping(owner, name):
    """Replaces a method by a function that gets the former one first."""

    def decorate(function):
        former = getattr(owner, name)
        setattr(owner, name, lambda *arguments, **keywords: function(former, *arguments, **keywords))
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
        former = self.default_version_id
        self.remove_version_stages_from_old_versions([*version["version_stages"], "AWSPREVIOUS"])
        if former:
            self.versions[former]["version_stages"].append("AWSPREVIOUS")
        self.versions[version_id] = version

    FakeSecret.reset_default_version = reset_default_version

    # AWS: DescribeSecret leaves out versions without a label.
    FakeSecret._form_version_ids_to_stages = lambda self: {
        id: version["version_stages"] for id, version in self.versions.items() if version["version_stages"]}

    # AWS: in its recovery window a secret's name cannot be used again, nor its
    # value written; a version that has a value never gets another.
    @wrapping(SecretsManagerBackend, "_check_with_existing_secrets_and_versions")
    def check(former, self, name, token, string, binary, on_create=False):
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
        return former(self, name, token, string, binary, on_create)

    # AWS: nothing of a secret in its recovery window can be changed.
    for name in ("tag_resource", "untag_resource", "update_secret_version_stage"):
        @wrapping(SecretsManagerBackend, name)
        def alive(former, self, secret_id, *arguments, **keywords):
            secret = self.secrets.get(secret_id)
            if secret is not None and secret.is_deleted():
                raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
            return former(self, secret_id, *arguments, **keywords)

    # AWS: to take a label from a version one must name that version; AWSCURRENT
    # can move, but not vanish; a refused call changes nothing.
    @wrapping(SecretsManagerBackend, "update_secret_version_stage")
    def move(former, self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
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
        return former(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)


def identities():
    backend = iam.IAMBackend

    # AWS: DeleteUser is refused as long as anything hangs on the user.
    @wrapping(backend, "delete_user")
    def delete_user(former, self, user_name):
        user = self.get_user(user_name)
        for what, left in {
            "delete login profile": user.password, "delete access keys": user.access_keys, "delete signing certificates": user.signing_certificates,
            "delete MFA device": user.mfa_devices, "remove referenced objects": user.ssh_public_keys,
            "remove users from group": self.get_groups_for_user(user_name),
        }.items():
            if left:
                raise DeleteConflictException(f"Cannot delete entity, must {what} first.")
        former(self, user_name)

    # AWS: so is DeletePolicy while the policy is attached, is a boundary, or has
    # versions beside the default.
    @wrapping(backend, "delete_policy")
    def delete_policy(former, self, policy_arn):
        policy = self.get_policy(policy_arn)
        entities = [*self.users.values(), *self.roles.values(), *self.groups.values()]
        if any(policy_arn in entity.managed_policies for entity in entities):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if any(getattr(entity, "permissions_boundary_arn", None) == policy_arn for entity in entities):
            raise DeleteConflictException("Cannot delete a policy that is used as a permissions boundary.")
        if len(policy.versions) > 1:
            raise DeleteConflictException("This policy has more than one version. Before you delete a policy, you must delete the policy's versions.")
        former(self, policy_arn)

    # AWS: attaching twice is attaching once.
    @wrapping(iam.ManagedPolicy, "attach_to")
    def attach_to(former, self, entity):
        if self.arn not in entity.managed_policies:
            former(self, entity)

    # AWS: CreateUser attaches the permissions boundary, and GetUser shows it.
    @wrapping(IamResponse, "create_user")
    def create_user(former, self):
        boundary = self._get_param("PermissionsBoundary")
        if boundary and boundary not in self.backend.managed_policies:
            raise NotFoundException(f"Scope ARN: {boundary} does not exist or is not attachable.")
        result = former(self)
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = boundary
        return result

    iam.User.permissions_boundary_arn = None
    iam.User.permissions_boundary = iam.Role.permissions_boundary

    # AWS: GetPolicyVersion's document is URL-encoded.
    @wrapping(IamResponse, "get_policy_version")
    def get_policy_version(former, self):
        found = self.backend.get_policy_version(self._get_param("PolicyArn"), self._get_param("VersionId"))
        shown = copy.copy(found)
        shown.document = urllib.parse.quote(found.document)
        return ActionResult({"PolicyVersion": shown})

    # AWS: a user has service-specific credentials, or an empty list of them.
    def list_service_specific_credentials(self):
        self.backend.get_user(self._get_param("UserName"))
        return ActionResult({"ServiceSpecificCredentials": []})

    IamResponse.list_service_specific_credentials = list_service_specific_credentials


# --- Resource types of CloudFormation ---------------------------------------------------


class EventInvokeConfig(CloudFormationModel):
    """AWS::Lambda::EventInvokeConfig, which moto has in Lambda's API only."""

    def __init__(self, name):
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        config = dict(cloudformation_json["Properties"])
        function = lambda_backends[account_id][region_name].get_function(config.pop("FunctionName"))
        config.pop("Qualifier", None)
        for number in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if number in config:
                config[number] = int(config[number])
        function.event_invoke_config = []
        lambda_backends[account_id][region_name].put_function_event_invoke_config(function.function_name, config)
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(original_resource.physical_resource_id, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        function = cloudformation_json["Properties"]["FunctionName"]
        lambda_backends[account_id][region_name].get_function(function).event_invoke_config = []


class Alarm(CloudFormationModel):
    """AWS::CloudWatch::Alarm, which moto has in CloudWatch's API only."""

    def __init__(self, name, arn):
        self.name = self.physical_resource_id = name
        self.arn = arn

    @staticmethod
    def cloudformation_name_type():
        return "AlarmName"

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def has_cfn_attr(cls, attribute):
        return attribute == "Arn"

    def get_cfn_attribute(self, _attribute):
        return self.arn

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        has = cloudformation_json["Properties"].get
        alarm = cloudwatch_backends[account_id][region_name].put_metric_alarm(
            resource_name, has("Namespace"), has("MetricName"), has("ComparisonOperator"), int(has("EvaluationPeriods") or 1),
            int(has("Period") or 60), float(has("Threshold") or 0), has("Statistic"), has("AlarmDescription"), has("Dimensions") or [],
            has("AlarmActions") or [], ok_actions=has("OKActions") or [], insufficient_data_actions=has("InsufficientDataActions") or [],
            extended_statistic=has("ExtendedStatistic"), unit=has("Unit"), treat_missing_data=has("TreatMissingData"),
            actions_enabled=str(has("ActionsEnabled", True)).lower() == "true", tags=has("Tags") or [])
        return cls(resource_name, alarm.alarm_arn)

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(original_resource.name, cloudformation_json, account_id, region_name)

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        cloudwatch_backends[account_id][region_name].delete_alarms([resource_name])


class Placeholder(CloudFormationModel):
    """A resource of a type that moto does not know: it has a name, and does nothing."""

    def __init__(self, name):
        self.physical_resource_id = name

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "Sandbox::Placeholder"

    @classmethod
    def has_cfn_attr(cls, _attribute):
        return True

    def get_cfn_attribute(self, attribute):
        return f"{self.physical_resource_id}.{attribute}"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, *_arguments, **_keywords):
        return cls(resource_name)

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, **_):
        return original_resource

    def delete(self, _account_id, _region_name):
        pass


def attach(backend, role, arns):
    for arn in [arn for arn in role.managed_policies if arn not in arns]:
        backend.detach_role_policy(arn, role.name)
    for arn in arns:
        if ":iam::aws:policy/" not in arn or arn in backend.managed_policies:  # moto loads AWS's own only when told to
            backend.attach_role_policy(arn, role.name)


def resource_types():
    # AWS: a role of a stack gets its managed policies, and all of it can be updated.
    create_role, delete_role = iam.Role.create_from_cloudformation_json, iam.Role.delete_from_cloudformation_json

    def role_created(cls, resource_name, cloudformation_json, account_id, region_name, **keywords):
        role = create_role(resource_name, cloudformation_json, account_id, region_name, **keywords)
        attach(iam.iam_backends[account_id][get_partition(region_name)], role, cloudformation_json["Properties"].get("ManagedPolicyArns") or [])
        return role

    def role_updated(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        role, has = original_resource, cloudformation_json["Properties"].get
        role.description, role.max_session_duration = has("Description", ""), has("MaxSessionDuration", 3600)
        role.permissions_boundary_arn = has("PermissionsBoundary")
        trust = has("AssumeRolePolicyDocument")
        role.assume_role_policy_document = trust if isinstance(trust, str) else json.dumps(trust)
        role.policies.clear()
        for policy in has("Policies") or []:
            role.put_policy(policy["PolicyName"], policy["PolicyDocument"])
        attach(iam.iam_backends[account_id][get_partition(region_name)], role, has("ManagedPolicyArns") or [])
        return role

    def role_deleted(cls, resource_name, cloudformation_json, account_id, region_name):
        backend = iam.iam_backends[account_id][get_partition(region_name)]
        attach(backend, backend.get_role(resource_name), [])
        delete_role(resource_name, cloudformation_json, account_id, region_name)

    iam.Role.create_from_cloudformation_json = classmethod(role_created)
    iam.Role.update_from_cloudformation_json = classmethod(role_updated)
    iam.Role.delete_from_cloudformation_json = classmethod(role_deleted)

    # AWS: a role's inline policy is text; moto keeps what the template's parser made.
    @wrapping(iam.Role, "put_policy")
    def put_policy(former, self, policy_name, policy_json):
        former(self, policy_name, policy_json if isinstance(policy_json, str) else json.dumps(policy_json))

    # AWS: a managed policy's new document is a new default version; with the stack the policy goes.
    def policy_updated(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        policy, document = original_resource, json.dumps(cloudformation_json["Properties"]["PolicyDocument"])
        default = next(version for version in policy.versions if version.is_default)
        if default.document != document:
            policy.versions[:] = [default]
            policy.backend.create_policy_version(policy.arn, document, True)
        return policy

    def policy_deleted(self, _account_id, _region_name):
        for entity in [*self.backend.roles.values(), *self.backend.users.values(), *self.backend.groups.values()]:
            entity.managed_policies.pop(self.arn, None)
        self.versions[:] = [version for version in self.versions if version.is_default]
        self.backend.delete_policy(self.arn)

    iam.ManagedPolicy.update_from_cloudformation_json = classmethod(policy_updated)
    iam.ManagedPolicy.delete = policy_deleted

    # AWS: a log group's retention can be updated.
    def group_updated(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        original_resource.set_retention_policy(cloudformation_json["Properties"].get("RetentionInDays"))
        return original_resource

    LogGroup.update_from_cloudformation_json = classmethod(group_updated)

    # AWS: a function of a stack has the processor and the log settings that the template says.
    create_function, update_function = LambdaFunction.create_from_cloudformation_json, LambdaFunction.update_from_cloudformation_json

    def with_settings(function, properties):
        function.architectures = properties.get("Architectures") or ["x86_64"]
        function.logging_config = properties.get("LoggingConfig")
        return function

    def function_created(cls, resource_name, cloudformation_json, account_id, region_name, **keywords):
        return with_settings(create_function(resource_name, cloudformation_json, account_id, region_name, **keywords), cloudformation_json["Properties"])

    def function_updated(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        update_function(original_resource, new_resource_name, cloudformation_json, account_id, region_name)
        return with_settings(original_resource, cloudformation_json["Properties"])

    LambdaFunction.create_from_cloudformation_json = classmethod(function_created)
    LambdaFunction.update_from_cloudformation_json = classmethod(function_updated)

    @wrapping(LambdaFunction, "get_configuration")
    def get_configuration(former, self, *arguments, **keywords):
        settings = getattr(self, "logging_config", None)
        return {**former(self, *arguments, **keywords), **({"LoggingConfig": settings} if settings else {})}

    # A type that moto does not know shall not break the stack.
    @wrapping(parsing, "resource_class_from_type")
    def resource_class_from_type(former, resource_type):
        known = resource_type.startswith("Custom::") or resource_type in parsing.get_model_map()
        return former(resource_type) if known else Placeholder


def templates():
    # AWS: an unquoted date in a template is text, such as a policy's version.
    for resolvers in yaml.Loader.yaml_implicit_resolvers.values():
        resolvers[:] = [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]

    # AWS: the pseudo parameters are those of the stack's own partition.
    @wrapping(parsing.ResourceMap, "load_parameters")
    def load_parameters(former, self):
        former(self)
        partition = get_partition(self._region_name)
        self._parsed_resources["AWS::Partition"] = partition
        self._parsed_resources["AWS::URLSuffix"] = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
        for name, value in self.resolved_parameters.items():  # AWS: the items of a list are trimmed
            if isinstance(value, list):
                self._parsed_resources[name] = [item.strip() if isinstance(item, str) else item for item in value]


def apply():
    secrets_manager()
    identities()
    resource_types()
    templates()
