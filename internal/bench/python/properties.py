"""What a stack declares, and the policy that it means. No AWS, no clock."""

import hashlib
import json
import re
from typing import NamedTuple

KNOWN = {"ServiceToken", "ServiceTimeout", "Access", "Buckets", "UserName", "SecretName", "Serial", "Verify"}

# The guide's table. A statement about objects needs the actions of its role alone.
ON_BUCKETS = ["s3:GetBucketLocation", "s3:ListBucket"]
ON_OBJECTS = {
    "Source": ["s3:GetObject", "s3:GetObjectVersion"],
    "Destination": ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectAcl"],
}

PLACE = re.compile(r"(?:arn:[a-z-]+:s3:::)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)
USER_NAME = re.compile(r"[A-Za-z0-9_+=.@-]{1,64}")
SECRET_NAME = re.compile(r"cloney/[A-Za-z0-9/_+=.@-]{1,505}")

# What IAM reads as a wildcard or as the begin of a variable, and how it is written
# to stand for itself.
LITERAL = str.maketrans({"*": "${*}", "?": "${?}", "$": "${$}"})

# IAM's limit for one managed policy.
POLICY_SIZE = 6144


class Place(NamedTuple):
    bucket: str
    prefix: str  # "": the whole bucket


class Wanted(NamedTuple):
    roles: list[str]
    places: list[Place]
    user_name: str
    secret_name: str
    serial: int
    verify: bool


def read(stack_id: str, logical_id: str, properties: dict) -> Wanted:
    """Return what the properties declare, or raise ValueError with every problem."""
    problems = [f"{name} is not a property; use one of {', '.join(sorted(KNOWN))}" for name in sorted(properties.keys() - KNOWN)]

    roles = sorted(_listed(properties.get("Access")), reverse=True)
    if not roles or not set(roles) <= ON_OBJECTS.keys():
        problems.append("Access is Source, Destination, or a list of both")

    places = []
    for entry in _listed(properties.get("Buckets")):
        match = PLACE.fullmatch(entry)
        prefix = (match and match[2]) or ""
        if not match or prefix.startswith("/") or (prefix.endswith("*") and prefix != "*"):
            problems.append(f"Buckets: {entry!r} is not a bucket, or a bucket and a prefix")
        else:
            places.append(Place(match[1], "" if prefix == "*" else prefix))
    if not places and "Buckets" not in str(problems):
        problems.append("Buckets names no bucket")

    user_name = properties.get("UserName") or default_user_name(stack_id, logical_id)
    if not USER_NAME.fullmatch(user_name):
        problems.append("UserName is 1 to 64 letters, digits and _+=.@-")
    secret_name = properties.get("SecretName") or "cloney/" + user_name
    if not SECRET_NAME.fullmatch(secret_name):
        problems.append("SecretName is cloney/ and a name")

    serial = str(properties.get("Serial", "1"))
    if not re.fullmatch(r"[1-9][0-9]{0,9}", serial):
        problems.append("Serial is a whole number from 1")
    verify = str(properties.get("Verify", "true")).lower()
    if verify not in ("true", "false"):
        problems.append("Verify is true or false")

    if problems:
        raise ValueError("; ".join(problems))
    return Wanted(roles, _without_covered(places), user_name, secret_name, int(serial), verify == "true")


def default_user_name(stack_id: str, logical_id: str) -> str:
    stack_name = stack_id.split("/")[1]
    digest = hashlib.sha256(f"{stack_id}|{logical_id}".encode()).hexdigest()[:12]
    return f"{stack_name[:25]}-{logical_id[:25]}-{digest}"


def policy(wanted: Wanted, partition: str) -> str:
    """Return the managed policy's document: what the guide grants, in these places."""
    statements = []
    for role in wanted.roles:
        statements += _on_buckets(f"Cloney{role}Access", wanted.places, partition)
        objects = [f"{_arn(partition, place.bucket)}/{place.prefix.translate(LITERAL)}*" for place in wanted.places]
        statements.append(_allow(f"Cloney{role}AccessObjects", ON_OBJECTS[role], objects))
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(document) > POLICY_SIZE:
        raise ValueError(f"Buckets: one policy holds {POLICY_SIZE} characters, and these need {len(document)}")
    return document


def _on_buckets(sid: str, places: list[Place], partition: str) -> list[dict]:
    """Return the statements about buckets themselves: who has a prefix lists it alone."""
    statements = []
    whole = [_arn(partition, place.bucket) for place in places if not place.prefix]
    if whole:
        statements.append(_allow(sid + "Bucket", ON_BUCKETS, whole))
    in_part = sorted({_arn(partition, place.bucket) for place in places if place.prefix})
    if in_part:
        statements.append(_allow(sid + "Location", ["s3:GetBucketLocation"], in_part))
    prefixes = sorted({place.prefix for place in places if place.prefix})
    for number, prefix in enumerate(prefixes, 1):
        buckets = [_arn(partition, place.bucket) for place in places if place.prefix == prefix]
        listing = _allow(f"{sid}List{number}", ["s3:ListBucket"], buckets)
        listing["Condition"] = {"StringLike": {"s3:prefix": [prefix.translate(LITERAL) + "*"]}}
        statements.append(listing)
    return statements


def _allow(sid: str, actions: list[str], resources: list[str]) -> dict:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _arn(partition: str, bucket: str) -> str:
    return f"arn:{partition}:s3:::{bucket}"


def _listed(value) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        value = value.split(",")
    return sorted({str(entry).strip() for entry in value})


def _without_covered(places: list[Place]) -> list[Place]:
    """Return the places sorted, without those that another one covers."""
    kept: list[Place] = []
    for place in sorted(set(places)):
        # What covers it is shorter, so it came before.
        if not any(place.bucket == other.bucket and place.prefix.startswith(other.prefix) for other in kept):
            kept.append(place)
    return kept
