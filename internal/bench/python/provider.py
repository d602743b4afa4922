"""The provider's job as it is usually written: Python, crhelper and boto3.

The benchmark compares with it, so it is written to be fast and fair. It makes the
same user, the same policy document, the same key and the same secret as the
provider in Go, and proves the key as often.

The decisions, and which side each of them favors:

* It runs under awslambdaric, which is Lambda's own runtime for Python.
* The clients of IAM and Secrets Manager are made when the module is imported, as
  AWS recommends. Those of STS and S3 need the new key, so they are made where a key
  is verified. A Create with Verify: false does not pay for them (favors Python).
* crhelper makes three more clients of its own (lambda, events, logs) when it is
  imported. On Lambda it always does, so it does here.
* crhelper's plain mode: no polling. It would sleep for two minutes at each Delete,
  for the sake of logs; sleep_on_delete=0 switches that off (favors Python). Its
  level of logging is WARNING, not DEBUG (favors Python, and its DEBUG would print
  each ResponseURL).
* A Create asks nothing first: it makes each thing, and looks at what is there only
  where AWS says that the name is taken. A Create is five calls (favors Python).
* Calls are made one after the other, as code for boto3 nearly always makes them.
* All bytecode is compiled beforehand.
* In the sandbox crhelper answers over http, see over_http.py.
* Two proofs are a tenth of a second apart: three authentications take as long as the
  provider in Go gives them at the least, and two looks at a bucket half of that (favors
  Python). Go looks at the buckets meanwhile, Python after that.

What it leaves out of the provider in Go, all of which would be more code to load and
more calls to make (favors Python): the order of events that overtake each other;
what a crash between two calls leaves, but for an event that is delivered again;
rotation by Secrets Manager; KMS keys, readers, expiry, addresses, tags of the stack's
own; more buckets than one policy holds; a key that is kept because it is still in
use; Serial going back to a previous key; and sentences that say what is in the way.
"""

import json
import os
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from crhelper import CfnResource

import properties

if "RESPONSE_HOSTS" in os.environ:  # the sandbox
    import over_http  # noqa: F401

helper = CfnResource(log_level="WARNING", boto_level="ERROR", sleep_on_delete=0)

# boto3's own way to wait out a throttle.
patient = Config(retries={"mode": "standard", "max_attempts": 10})
iam = boto3.client("iam", config=patient)
secrets = boto3.client("secretsmanager", config=patient)

REGION = os.environ["AWS_REGION"]
PATH = f"/cloney/{REGION}/"
BOUNDARY = os.environ.get("PERMISSIONS_BOUNDARY_ARN")

PROOFS = 3  # authentications in a row
LOOKS = 2  # in a row, at each place
PAUSE = 0.1  # seconds between two of them
SETTLING = 90  # seconds that a new key may take until AWS knows it everywhere


def handler(event, context):
    helper(event, context)


@helper.create
def create(event, _):
    wanted = _wanted(event)
    owner = Owner(event)
    try:
        _converge(owner, wanted, wanted.verify)
    except Exception:
        # No live key may stay behind a FAILED.
        _remove(owner, wanted.user_name, wanted.secret_name)
        raise
    return wanted.user_name


@helper.update
def update(event, _):
    wanted, owner = _wanted(event), Owner(event)
    previous = _previous(event)
    changed = previous is None or wanted._replace(verify=True) != previous._replace(verify=True)
    try:
        _converge(owner, wanted, wanted.verify and changed)
    except Exception:
        if wanted.user_name != event["PhysicalResourceId"]:
            _remove(owner, wanted.user_name, wanted.secret_name)
        raise
    if previous and previous.secret_name != wanted.secret_name and previous.user_name == wanted.user_name:
        _remove_secret(owner, previous.user_name, previous.secret_name)
    # Another id than the event's: CloudFormation deletes the previous user.
    return wanted.user_name


@helper.delete
def delete(event, _):
    # The properties may never have been valid: read no more of them than is needed.
    user_name = event["PhysicalResourceId"]
    secret_name = event["ResourceProperties"].get("SecretName") or "cloney/" + user_name
    _remove(Owner(event), user_name, secret_name)


class NotOurs(Exception):
    """A name is taken by something that this resource has not made."""


class Owner:
    """Whose users, policies and secrets are: one resource of one stack."""

    def __init__(self, event):
        self.stack_id, self.logical_id = event["StackId"], event["LogicalResourceId"]
        _, self.partition, _, _, self.account, _ = self.stack_id.split(":", 5)

    def tags(self, user_name, **more):
        tags = {
            "cloney:stack-id": self.stack_id,
            "cloney:logical-id": self.logical_id,
            "cloney:physical-id": user_name,
            **more,
        }
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    def check(self, what, tags):
        """Raise NotOurs unless the tags are this owner's; return them as a dict."""
        tags = {tag["Key"]: tag["Value"] for tag in tags}
        if tags.get("cloney:stack-id") != self.stack_id or tags.get("cloney:logical-id") != self.logical_id:
            raise NotOurs(f"{what} exists and is not of this resource; choose another name")
        return tags

    def policy_arn(self, user_name):
        return f"arn:{self.partition}:iam::{self.account}:policy{PATH}{user_name}-1"


def _wanted(event):
    return properties.read(event["StackId"], event["LogicalResourceId"], event["ResourceProperties"])


def _previous(event):
    """Return what the properties before this Update declared; None: they were not valid."""
    try:
        return properties.read(event["StackId"], event["LogicalResourceId"], event["OldResourceProperties"])
    except ValueError:
        return None


def _converge(owner, wanted, verify):
    """Make what is wanted out of what is there, prove it, and fill in Data."""
    user_arn, serial = _keep_user(owner, wanted)
    policy_arn = _keep_policy(owner, wanted, is_new=serial is None)
    key, secret = _keep_key(owner, wanted, serial)
    if verify:
        _verify(key, wanted)
    helper.Data.update(
        UserName=wanted.user_name,
        UserArn=user_arn,
        PolicyArns=policy_arn,
        AccessKeyId=key["AccessKeyId"],
        SecretArn=secret["ARN"],
        SecretName=secret["Name"],
        SecretVersionId=secret["VersionId"],
    )


def _keep_user(owner, wanted):
    """Return the user's ARN and the Serial that its key was issued for; None: it is new."""
    tags = owner.tags(wanted.user_name, **{"cloney:serial": str(wanted.serial)})
    boundary = {"PermissionsBoundary": BOUNDARY} if BOUNDARY else {}
    try:
        user = iam.get_user(UserName=wanted.user_name)["User"] if helper.RequestType == "Update" else None
    except iam.exceptions.NoSuchEntityException:
        user = None
    if user is None:
        try:
            made = iam.create_user(UserName=wanted.user_name, Path=PATH, Tags=tags, **boundary)
            return made["User"]["Arn"], None
        except iam.exceptions.EntityAlreadyExistsException:
            user = iam.get_user(UserName=wanted.user_name)["User"]
    found = owner.check(f"user {wanted.user_name}", user.get("Tags", []))
    return user["Arn"], int(found["cloney:serial"])


def _keep_policy(owner, wanted, is_new):
    """Have the user's one policy say what is wanted, and return its ARN."""
    arn = owner.policy_arn(wanted.user_name)
    document = properties.policy(wanted, owner.partition)
    if is_new:
        try:
            iam.create_policy(
                PolicyName=arn.rsplit("/", 1)[1], Path=PATH, PolicyDocument=document, Tags=owner.tags(wanted.user_name)
            )
            iam.attach_user_policy(UserName=wanted.user_name, PolicyArn=arn)
            return arn
        except iam.exceptions.EntityAlreadyExistsException:
            pass
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    owner.check(f"policy {arn}", policy.get("Tags", []))
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    if version["Document"] != json.loads(document):
        _make_room_for_version(arn)
        # One call makes it and makes it count: no moment without permissions.
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    if helper.RequestType == "Create":  # a Create before may have ended between the two
        iam.attach_user_policy(UserName=wanted.user_name, PolicyArn=arn)
    return arn


def _make_room_for_version(arn):
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) == 5:
        oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
        iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])


def _keep_key(owner, wanted, serial):
    """Return the key of the secret, and the secret, after making what is missing."""
    current = None
    if serial is not None:
        current = _read_secret(wanted.secret_name) or _read_previous_secret(wanted)
        keys = iam.list_access_keys(UserName=wanted.user_name)["AccessKeyMetadata"]
        live = {key["AccessKeyId"] for key in keys if key["Status"] == "Active"}
        if current and serial == wanted.serial and current["key"]["AccessKeyId"] in live:
            if current["Name"] == wanted.secret_name:
                return current["key"], current
            return current["key"], _store(owner, wanted, current["key"])
        _make_room_for_key(wanted.user_name, keys, current)
    made = iam.create_access_key(UserName=wanted.user_name)["AccessKey"]
    key = {"Version": 1, "AccessKeyId": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]}
    try:
        secret = _store(owner, wanted, key)
    except Exception:
        # Nobody will ever know its secret half.
        iam.delete_access_key(UserName=wanted.user_name, AccessKeyId=key["AccessKeyId"])
        raise
    if serial not in (None, wanted.serial):
        iam.tag_user(UserName=wanted.user_name, Tags=[{"Key": "cloney:serial", "Value": str(wanted.serial)}])
    return key, secret


def _make_room_for_key(user_name, keys, current):
    """IAM allows two keys: the one that is not in the secret goes."""
    if len(keys) == 2:
        spare = [key["AccessKeyId"] for key in keys if not current or key["AccessKeyId"] != current["key"]["AccessKeyId"]]
        iam.delete_access_key(UserName=user_name, AccessKeyId=spare[0])


def _read_secret(name):
    try:
        found = secrets.get_secret_value(SecretId=name)
    except secrets.exceptions.ResourceNotFoundException:
        return None
    return {"key": json.loads(found["SecretString"]), **{k: found[k] for k in ("ARN", "Name", "VersionId")}}


def _read_previous_secret(wanted):
    """Where SecretName changes, the key is in the secret of the previous name."""
    previous = _previous(helper._event) if helper.RequestType == "Update" else None
    if previous and previous.user_name == wanted.user_name and previous.secret_name != wanted.secret_name:
        return _read_secret(previous.secret_name)
    return None


def _store(owner, wanted, key):
    """Store the key as the current value of the secret, and return the secret."""
    value = json.dumps(key)
    tags = owner.tags(wanted.user_name)
    try:
        return secrets.create_secret(Name=wanted.secret_name, SecretString=value, Tags=tags)
    except secrets.exceptions.ResourceExistsException:
        pass
    found = secrets.describe_secret(SecretId=wanted.secret_name)
    owned = owner.check(f"secret {wanted.secret_name}", found.get("Tags", []))
    stored = secrets.put_secret_value(SecretId=wanted.secret_name, SecretString=value)
    if owned.get("cloney:physical-id") != wanted.user_name:
        # It passes to the new user; the previous one's Delete leaves it alone.
        secrets.tag_resource(SecretId=wanted.secret_name, Tags=tags)
    return stored


def _verify(key, wanted):
    """Return once the key works: it authenticates, and each place allows what its roles need."""
    session = {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
        # Repeating is ours: what botocore takes for final is "not yet" here.
        "config": Config(retries={"mode": "standard", "total_max_attempts": 1}),
    }
    until = time.monotonic() + SETTLING
    sts = boto3.client("sts", **session)
    _often("the key does not authenticate", PROOFS, until, sts.get_caller_identity)
    s3 = boto3.client("s3", **session)
    for place in wanted.places:
        located = False

        def look():
            nonlocal located
            _look(s3, place, wanted.roles)
            if not located:
                s3.get_bucket_location(Bucket=place.bucket)
                located = True

        _often(f"Buckets: {place.bucket}/{place.prefix}", LOOKS, until, look)


def _often(what, times, until, ask):
    """Ask until it went well that many times in a row, or time is up."""
    in_a_row, wait = 0, PAUSE
    while True:
        try:
            ask()
            in_a_row, wait = in_a_row + 1, PAUSE
        except (ClientError, BotoCoreError) as error:
            in_a_row, wait = 0, min(wait * 2, 5)
            if time.monotonic() + wait > until:
                raise RuntimeError(f"{what}: {error}") from error
        if in_a_row == times:
            return
        time.sleep(wait)


def _look(s3, place, roles):
    """Ask for all that the roles need in a place, and leave nothing there."""
    absent = f"{place.prefix}cloney-verification-{uuid.uuid4().hex}"
    s3.list_objects_v2(Bucket=place.bucket, MaxKeys=3, **({"Prefix": place.prefix} if place.prefix else {}))
    if "Source" in roles:
        try:
            s3.get_object(Bucket=place.bucket, Key=absent)
        except s3.exceptions.NoSuchKey:
            pass  # as it should be
    if "Destination" in roles:
        upload = s3.create_multipart_upload(Bucket=place.bucket, Key=absent)
        s3.abort_multipart_upload(Bucket=place.bucket, Key=absent, UploadId=upload["UploadId"])


def _remove(owner, user_name, secret_name):
    """Take everything away that is this owner's: access first. What does not exist is done."""
    try:
        user = iam.get_user(UserName=user_name)["User"]
        owner.check(f"user {user_name}", user.get("Tags", []))
    except (iam.exceptions.NoSuchEntityException, NotOurs):
        user = None
    if user:
        for key in iam.list_access_keys(UserName=user_name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user_name, AccessKeyId=key["AccessKeyId"])
    _remove_policy(owner, user_name, attached=bool(user))
    if user:
        iam.delete_user(UserName=user_name)
    _remove_secret(owner, user_name, secret_name)


def _remove_policy(owner, user_name, attached):
    arn = owner.policy_arn(user_name)
    try:
        owner.check(f"policy {arn}", iam.get_policy(PolicyArn=arn)["Policy"].get("Tags", []))
    except (iam.exceptions.NoSuchEntityException, NotOurs):
        return
    if attached:
        try:
            iam.detach_user_policy(UserName=user_name, PolicyArn=arn)
        except iam.exceptions.NoSuchEntityException:
            pass
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def _remove_secret(owner, user_name, secret_name):
    try:
        found = secrets.describe_secret(SecretId=secret_name)
        tags = owner.check(f"secret {secret_name}", found.get("Tags", []))
    except (secrets.exceptions.ResourceNotFoundException, NotOurs):
        return
    if tags.get("cloney:physical-id") == user_name:
        secrets.delete_secret(SecretId=secret_name, ForceDeleteWithoutRecovery=True)
