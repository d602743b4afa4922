"""Callers that may invoke a function: those that have lambda:InvokeFunction, and those that the function's own policy
does not deny. moto lets everyone.

A function's policy (AWS::Lambda::ResourcePolicy) tells what came in through CloudFormation from all
else by aws:CalledViaLast. It is read for what it says of that, and refused if it says anything else.
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-calledvialast

A caller is judged by the policies of a user, without their conditions. Sessions, and keys that
nobody has made, are administrators' of their account, as everywhere in the sandbox. Over the API nobody
invokes a function of another account, which on AWS takes an Allow in the function's policy: moto looks
for the name in the caller's own account, whatever account the ARN names.
"""

from urllib.parse import unquote

import other_accounts
from aws_rules import wrapping
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.responses import LambdaResponse
from moto.iam.access_control import CreateAccessKeyFailure, IAMPolicy, IAMUserAccessKey, PermissionResult

ACTION = "lambda:InvokeFunction"
CLOUDFORMATION = "cloudformation.amazonaws.com"
KNOWN = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
OPERATORS = {
    "StringEquals": lambda via, named: via == named,
    "StringNotEquals": lambda via, named: via != named,  # also where there is none
}

policies = {}  # ARN of a function -> the statements of its own policy


class Denied(LambdaClientError):
    code = 403

    def __init__(self, caller, function, why):
        super().__init__("AccessDeniedException", f"User: {caller} is not authorized to perform: {ACTION} on resource: {function} {why}")


def put(function, document):
    """PutResourcePolicy: in the place of what is there."""
    for statement in document["Statement"]:
        for operator, keys in statement.get("Condition", {}).items():
            if operator not in OPERATORS or set(keys) != {"aws:CalledViaLast"}:
                raise LambdaClientError("InvalidParameterValueException", f"the sandbox does not judge {operator} of {sorted(keys)}")
        if not set(statement) <= KNOWN:
            raise LambdaClientError("InvalidParameterValueException", f"the sandbox does not judge {sorted(set(statement) - KNOWN)}")
    policies[function] = document["Statement"]


def listed(value):
    return value if isinstance(value, list) else [value]


def says(function, caller, account, via):
    """The effects of the function's own policy on a call."""

    def holds(condition):
        return all(OPERATORS[operator](via, keys["aws:CalledViaLast"]) for operator, keys in condition.items())

    return {
        statement["Effect"] for statement in policies.get(function, ())
        if ACTION in listed(statement["Action"]) and function in listed(statement["Resource"])
        and other_accounts.names(statement["Principal"], caller, account) and holds(statement.get("Condition", {}))
    }


def by_cloudformation(function, account):
    """Judges an Invoke in the name of the person that deploys a stack of the account: an administrator of it."""
    caller, effects = f"arn:aws:iam::{account}:root", says(function.function_arn, "", account, CLOUDFORMATION)
    if "Deny" in effects:
        raise Denied(caller, function.function_arn, "with an explicit deny in a resource-based policy")
    # Where the function has no policy, the sandbox takes docs/reference.md's `aws lambda add-permission` as given.
    if function.function_arn in policies and account != function.account_id and "Allow" not in effects:
        raise Denied(caller, function.function_arn, f"because no resource-based policy allows the {ACTION} action")


def directly(response, function):
    """Judges an Invoke that came in over the API."""
    account = response.current_account
    try:
        user = IAMUserAccessKey(account_id=account, partition=response.partition, access_key_id=response.access_key, headers={})
    except CreateAccessKeyFailure:
        user = None
    caller = user.arn if user else f"arn:aws:iam::{account}:root"
    effects = says(function.function_arn, caller, account, None)
    permitted = [PermissionResult.PERMITTED]
    if user:
        permitted = [IAMPolicy(policy).is_action_permitted(ACTION, function.function_arn) for policy in user.collect_policies()]
    if "Deny" in effects:
        raise Denied(caller, function.function_arn, "with an explicit deny in a resource-based policy")
    if PermissionResult.DENIED in permitted:
        raise Denied(caller, function.function_arn, "with an explicit deny in an identity-based policy")
    if PermissionResult.PERMITTED not in permitted and "Allow" not in effects:
        raise Denied(caller, function.function_arn, f"because no identity-based policy allows the {ACTION} action")


def install():
    for method in ("invoke", "invoke_async"):
        @wrapping(LambdaResponse, method)
        def invoke(original, self):
            name = unquote(self.path.rstrip("/").split("/")[-2])
            directly(self, self.backend.get_function(name))
            return original(self)
