"""Rotation as Secrets Manager does it, in place of moto's, which takes a second RotateSecret for
one under way, forgets schedules, and runs the steps inside of the request.

A rotation is carried out after RotateSecret has answered. A step that fails ends it; AWSPENDING
then stays where it is. AWS comes back to it by itself; here the next RotateSecret does, which is
refused as AWS refuses it.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

import fnmatch
import json
import re
import threading
import time
import uuid

from aws_rules import wrapping
from moto.awslambda.utils import get_backend as lambda_backend
from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException, ResourceNotFoundException, SecretNotFoundException, SecretsManagerClientError
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend
from moto.secretsmanager.responses import SecretsManagerResponse

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
SERVICE = "secretsmanager.amazonaws.com"
RATE = re.compile(r"rate\((\d+) (hour|day)s?\)")
CRON = re.compile(r"cron\(0 [0-9,*/-]+ \S+ \S+ \S+ \*\)")
LEAST_HOURS = 4

rotations = []  # every one so far, the first one first
interrupted = []  # the step before which the next rotation ends, as where Lambda throttles
lock = threading.Lock()


class Rotation:
    """One time that the steps are carried out for a version."""

    def __init__(self, secret, function, token, steps):
        self.secret, self.function, self.token, self.steps = secret, function, token, steps
        self.done, self.error = [], None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        for step in self.steps:
            if step in interrupted:
                interrupted.clear()
                self.error = f"{step}: Lambda did not take the event"
                break
            event = {"Step": step, "SecretId": self.secret.arn, "ClientRequestToken": self.token, "RotationToken": self.secret.rotation_token}
            try:
                answer, failed, _ = self.function._invoke_lambda(json.dumps(event))
            except Exception as refused:  # there is no function, or it does not start
                answer, failed = str(refused), True
            if failed:
                self.error = f"{step}: {answer}"
                break
            self.done.append(step)
        self.end()

    def end(self):
        now = int(time.time())
        if self.steps != STEPS:  # the version was created for the test alone
            self.secret.remove_version_stages_from_old_versions(["AWSPENDING"])
            if value_of(self.secret.versions.get(self.token, {})) is None:
                self.secret.versions.pop(self.token, None)
        elif self.error is None:
            self.secret.last_rotation_date = now
            self.secret.next_rotation_date = next_after(now, self.secret.rotation_rules)


def value_of(version):
    return version.get("secret_string", version.get("secret_binary"))


def holder(secret, label):
    return next((id for id, version in secret.versions.items() if label in version["version_stages"]), None)


def under_way(secret):
    return any(one.secret is secret and one.thread.is_alive() for one in rotations)


def begin(secret, function, token, steps):
    one = Rotation(secret, function, token, steps)
    rotations.append(one)
    one.thread.start()


def seen():
    """What the tests ask: every rotation, once none is under way."""
    for one in list(rotations):
        one.thread.join()
    return [{"secret": one.secret.name, "token": one.token, "steps": one.done, "error": one.error or ""} for one in rotations]


def invocable(arn, secret):
    """The function, if Secrets Manager may invoke it for the secret: its policy has to say so."""
    _, _, _, region, account = arn.split(":")[:5]
    try:
        function = lambda_backend(account, region).get_function(arn)
    except Exception:
        raise ResourceNotFoundException(f"Lambda does not exist or could not be accessed: {arn}") from None
    if not any(admits(statement, secret) for statement in function.policy.statements):
        raise SecretsManagerClientError(
            "AccessDeniedException",
            f"Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal {SERVICE}")
    return function


def admits(statement, secret):
    condition = statement.get("Condition", {})
    owner = condition.get("StringEquals", {}).get("AWS:SourceAccount", secret.account_id)
    source = condition.get("ArnLike", {}).get("AWS:SourceArn", secret.arn)
    principal = statement.get("Principal", {})
    return (statement["Effect"] == "Allow" and SERVICE in (principal, isinstance(principal, dict) and principal.get("Service"))
            and owner == secret.account_id and fnmatch.fnmatchcase(secret.arn, source))


def check(rules):
    schedule, days = rules.get("ScheduleExpression"), rules.get("AutomaticallyAfterDays")
    if schedule is not None and days is not None:
        raise InvalidParameterException("You can only specify either ScheduleExpression or AutomaticallyAfterDays, but not both.")
    if days is not None and not 1 <= days <= 1000:
        raise InvalidParameterException("RotationRules.AutomaticallyAfterDays must be within 1-1000.")
    if schedule is not None and not CRON.fullmatch(schedule) and not (RATE.fullmatch(schedule) and hours_of(rules) >= LEAST_HOURS):
        raise InvalidParameterException(f"Invalid rotation schedule expression: {schedule}")


def hours_of(rules):
    """Between two rotations; None: a cron says when."""
    rate = RATE.fullmatch(rules.get("ScheduleExpression", ""))
    if rate:
        return int(rate[1]) * (24 if rate[2] == "day" else 1)
    return rules["AutomaticallyAfterDays"] * 24 if "AutomaticallyAfterDays" in rules else None


def next_after(now, rules):
    hours = hours_of(rules)
    return now + hours * 3600 if hours else None


def rotate_secret(self, secret_id, client_request_token=None, rotation_lambda_arn=None, rotation_rules=None, rotate_immediately=True):
    secret = self.secrets.get(secret_id)
    if not isinstance(secret, FakeSecret):
        raise SecretNotFoundException()
    if secret.is_deleted():
        raise InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
    arn, rules = rotation_lambda_arn or secret.rotation_lambda_arn, rotation_rules or secret.rotation_rules
    if not arn:
        raise InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
    check(rules)
    function, token = invocable(arn, secret), self._from_client_request_token(client_request_token)
    with lock:
        pending = holder(secret, "AWSPENDING")
        if pending and pending != holder(secret, "AWSCURRENT"):
            if secret.rotation_enabled and not under_way(secret):
                begin(secret, function, pending, STEPS)
            raise InvalidRequestException("A previous rotation isn't complete. That rotation will be reattempted.")
        secret.rotation_requested, secret.rotation_enabled = True, True
        secret.rotation_lambda_arn, secret.rotation_rules = arn, rules
        secret.next_rotation_date = next_after(int(time.time()), rules)
        if token not in secret.versions:  # else it was rotated by this very request
            secret.remove_version_stages_from_old_versions(["AWSPENDING"])
            # AWS: the version has no value until the function puts one.
            secret.versions[token] = {"createdate": int(time.time()), "version_id": token, "version_stages": ["AWSPENDING"]}
            secret.rotation_token = str(uuid.uuid4())
            begin(secret, function, token, STEPS if rotate_immediately else STEPS[2:3])
    return secret.to_short_dict(version_id=token)


def install():
    FakeSecret.rotation_rules, FakeSecret.rotation_token = {}, None
    SecretsManagerBackend.rotate_secret = rotate_secret

    # AWS: what was asked for is described, and the days that come of it once it has rotated.
    @wrapping(FakeSecret, "to_dict")
    def to_dict(original, self):
        described = original(self)
        if self.rotation_requested:
            described["RotationRules"] = dict(self.rotation_rules)
            if self.last_rotation_date and hours_of(self.rotation_rules):
                described["RotationRules"]["AutomaticallyAfterDays"] = max(1, hours_of(self.rotation_rules) // 24)
        return described

    # AWS: a rotation's token says that its function asks. Another one is refused.
    @wrapping(SecretsManagerResponse, "put_secret_value")
    def put_secret_value(original, self):
        given, secret = self._get_param("RotationToken"), self.backend.secrets.get(self._get_param("SecretId"))
        if given is not None and secret is not None and given != secret.rotation_token:
            raise SecretsManagerClientError("AccessDeniedException", "The rotation token is not of a rotation of this secret.")
        return original(self)
