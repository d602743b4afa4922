"""A CloudFormation that drives custom resources, in place of moto's own engine.

moto's engine knows only Create for custom resources, waits for nothing, and never rolls
back. This one orders a template's resources by what they refer to, creates and updates them
through moto's models, and speaks the custom resource protocol as AWS does:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html

A failed Create is rolled back with Deletes, a failed Update with Updates to the previous
properties. When a physical id changes, the cleanup deletes the previous one.

Resources come one after the other, so that none is cancelled, and the emulator takes one event
at a time, so that no events overlap. Package traces plays both.
"""

import json
import re
import secrets
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import aws_rules
import dynamic_references
import elapse
import holdings
import invocation
import operations
import rotation
import told
from moto.awslambda.utils import get_backend as lambda_backend
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend, Event, Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import generate_stack_id
from moto.core.responses import EmptyResult

MOST_BYTES = 4096  # of a response

own_types = {}  # type of a resource that moto does not know -> its class
requests = []  # every custom resource request so far, for the tests
waiting = {}  # path and query of a ResponseURL -> Exchange


class Failed(BaseException):
    """A resource failed. Not an Exception: moto catches and repeats those."""

    def __init__(self, reason, physical_id=None):
        super().__init__(reason)
        self.reason, self.physical_id = reason, physical_id


def reason_of(failed):
    """What a resource's event says. moto's errors put their code before their message."""
    return getattr(failed, "reason", None) or getattr(failed, "message", None) or str(failed)


class Exchange:
    """One request and the answers to it."""

    def __init__(self, event):
        self.event, self.answers, self.answered = event, [], threading.Event()
        self.outcome, self.reason = None, None


class ResponseBucket(BaseHTTPRequestHandler):
    """CloudFormation's response bucket: takes a PUT on a presigned URL, as S3 does."""

    asked = {
        "/_sandbox/issued": lambda: aws_rules.issued,
        "/_sandbox/holdings": holdings.holdings,
        "/_sandbox/requests": lambda: [{"event": e.event, "answers": e.answers, "outcome": e.outcome, "reason": e.reason} for e in requests],
        "/_sandbox/rotations": rotation.seen,
        "/_sandbox/told": told.told,
    }
    done = {
        "/_sandbox/elapse": lambda days: elapse.elapse(int(days)),
        "/_sandbox/interrupt": rotation.interrupted.append,
        "/_sandbox/answer-seconds": lambda seconds: operations.set_answer_seconds(float(seconds)),
    }

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        exchange = waiting.get(self.path)
        # The signature covers the URL and an absent Content-Type.
        status = 200 if exchange and self.headers.get("Content-Type") is None else 403
        if exchange:
            exchange.answers.append({"status": status, "body": body.decode("utf-8", "replace")})
            if status == 200:
                exchange.answered.set()
        self.respond(status, b"" if status == 200 else b"<Error><Code>SignatureDoesNotMatch</Code></Error>")

    def do_GET(self):
        """Not of S3: what the tests ask."""
        asked = self.asked.get(self.path)
        self.respond(200 if asked else 404, json.dumps(asked()).encode() if asked else b"")

    def do_POST(self):
        """Not of S3: a test has a function handle an event, or something happen."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path in self.done:
            self.done[self.path](body)
            return self.respond(200, b"")
        function = lambda_backend(holdings.ACCOUNT, holdings.REGION).get_function(self.path.removeprefix("/_sandbox/invoke/"))
        answer, failed, _ = function._invoke_lambda(body)
        self.respond(500 if failed else 200, answer.encode())

    def respond(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_responses(port):
    server = ThreadingHTTPServer(("127.0.0.1", port), ResponseBucket)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Custom.responses = f"http://127.0.0.1:{port}"


GUARD = "Custom::CloneyS3Provider"  # of the provider's own stack


def answer_guard(event):
    """Answers in the provider's place where no function runs, so that its stack can be deployed there too."""
    answer = {field: event[field] for field in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps(answer | {"Status": "SUCCESS", "PhysicalResourceId": "cloney-s3-credentials"})
    exchange = waiting[event["ResponseURL"].removeprefix(Custom.responses)]
    exchange.answers.append({"status": 200, "body": body})
    exchange.answered.set()
    return ""


def strings(value):
    """CloudFormation sends every scalar as a string."""
    if isinstance(value, dict):
        return {key: strings(v) for key, v in value.items()}
    if isinstance(value, list):
        return [strings(v) for v in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Custom:
    """A custom resource of a stack."""

    responses = ""  # base URL of the response bucket

    def __init__(self, stack_id, logical_id, resource_type, account_id, region, name):
        self.stack_id, self.logical_resource_id, self.cf_resource_type = stack_id, logical_id, resource_type
        self.account_id, self.region, self.invented_id = account_id, region, name
        self.properties, self.physical_id, self.data = None, None, {}
        self.previous = []  # (physical id, properties) that an update has replaced

    @property
    def physical_resource_id(self):
        return self.physical_id

    @classmethod
    def has_cfn_attr(cls, _attribute):
        return True

    def get_cfn_attribute(self, attribute):
        if attribute not in self.data:
            raise Failed(f"CustomResource attribute error: Vendor response doesn't contain {attribute} attribute in object {self.stack_id}|{self.logical_resource_id}")
        return self.data[attribute]

    def is_created(self):
        return True

    def create(self, properties):
        self.properties = properties
        try:
            answer = self.send("Create", properties)
        except Failed as failed:
            # Where no answer came, CloudFormation makes an id up.
            self.physical_id = failed.physical_id or self.invented_id
            raise
        self.physical_id, self.data = answer["PhysicalResourceId"], answer.get("Data") or {}

    def update(self, properties):
        previous = self.properties
        self.properties = properties  # also when it fails: the rollback says what it was
        answer = self.send("Update", properties, previous, self.physical_id)
        if answer["PhysicalResourceId"] != self.physical_id:
            self.previous.append((self.physical_id, previous))
        self.physical_id, self.data = answer["PhysicalResourceId"], answer.get("Data") or {}

    def delete(self, _account_id=None, _region=None):
        self.send("Delete", self.properties, physical_id=self.physical_id)

    def clean_up(self):
        """Deletes what updates replaced. A failure there does not fail the stack."""
        for physical_id, properties in self.previous:
            try:
                self.send("Delete", properties, physical_id=physical_id)
            except Failed:
                pass
        self.previous = []

    def send(self, request_type, properties, previous=None, physical_id=None):
        request_id = str(uuid.uuid4())
        # The bucket is the host: it keeps each answer under the three ids.
        path = "/" + quote(f"{self.stack_id}|{self.logical_resource_id}|{request_id}", safe="")
        # An event's time is in the signature: for two hours, whatever the ServiceTimeout.
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        query = (f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={now}&X-Amz-SignedHeaders=host&X-Amz-Expires=7200"
                 f"&X-Amz-Credential=SANDBOX%2F{now[:8]}%2F{self.region}%2Fs3%2Faws4_request&X-Amz-Signature={secrets.token_hex(32)}")
        event = {
            "RequestType": request_type, "RequestId": request_id, "ResponseURL": self.responses + path + query,
            "ResourceType": self.cf_resource_type, "LogicalResourceId": self.logical_resource_id, "StackId": self.stack_id,
            "ServiceToken": properties["ServiceToken"], "ResourceProperties": properties,
        }
        if physical_id is not None:
            event["PhysicalResourceId"] = physical_id
        if previous is not None:
            event["OldResourceProperties"] = previous
        exchange = Exchange(event)
        requests.append(exchange)
        waiting[path + query] = exchange
        try:
            # In the account that the token names, which may be another one than the stack's.
            _, _, _, region, account = properties["ServiceToken"].split(":")[:5]
            function = lambda_backend(account, region).get_function(properties["ServiceToken"])
            try:
                invocation.by_cloudformation(function, self.account_id)
            except invocation.Denied as denied:
                raise Failed(reason_of(denied)) from None
            # Asynchronously, as CloudFormation does: only the PUT counts.
            threading.Thread(target=function._invoke_lambda, args=(json.dumps(event),), daemon=True).start()
            answer = self.read(exchange, int(properties.get("ServiceTimeout", 3600)))
            exchange.outcome = "SUCCESS"
            return answer
        except Failed as failed:
            exchange.outcome, exchange.reason = "FAILED", failed.reason
            raise

    @staticmethod
    def read(exchange, seconds):
        if not exchange.answered.wait(seconds):
            raise Failed("CloudFormation did not receive a response from your Custom Resource. Please check your logs for "
                         f"requestId [{exchange.event['RequestId']}].")
        body = next(a["body"] for a in exchange.answers if a["status"] == 200)
        if len(body.encode()) > MOST_BYTES:
            raise Failed("Response object is too long.")
        try:
            answer = json.loads(body)
            same = all(answer[field] == exchange.event[field] for field in ("StackId", "RequestId", "LogicalResourceId"))
        except (ValueError, KeyError, TypeError):
            raise Failed("Invalid response object.") from None
        if not same:
            raise Failed("Invalid response object: it is not of this request.")
        physical_id = answer.get("PhysicalResourceId")
        if not physical_id or len(physical_id) > 1024:
            raise Failed("Invalid PhysicalResourceId")
        if answer.get("Status") != "SUCCESS":
            raise Failed("Received response status [FAILED] from custom resource. Message returned: " + answer.get("Reason", ""), physical_id)
        return answer


# ---- ordering --------------------------------------------------------------------------------


def references(value):
    """Names that a piece of a template refers to."""
    if isinstance(value, list):
        return set().union(*map(references, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, inner in value.items():
        if key == "Ref":
            found.add(inner)
        elif key == "Fn::GetAtt":
            found.add(inner[0] if isinstance(inner, list) else inner.split(".")[0])
        elif key == "Fn::Sub":
            text = inner[0] if isinstance(inner, list) else inner
            found |= {name.split(".")[0] for name in re.findall(r"\$\{([^!][^}]*)\}", text)}
            found |= references(inner)
        elif key == "DependsOn":
            # A resource's; a stack set's AutoDeployment has one of its own, of ARNs.
            found |= {name for name in (inner if isinstance(inner, list) else [inner]) if isinstance(name, str)} | references(inner)
        else:
            found |= references(inner)
    return found


def ordered(resources):
    """Logical ids, each after what it refers to."""
    done, order = set(), []

    def visit(name):
        if name in done:
            return
        done.add(name)
        for other in sorted(references(resources[name]) & resources.keys()):
            visit(other)
        order.append(name)

    for name in resources:
        visit(name)
    return order


def imports(value):
    """Names of the exports that a template imports."""
    if isinstance(value, list):
        return set().union(*map(imports, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    own = {value["Fn::ImportValue"]} if isinstance(value.get("Fn::ImportValue"), str) else set()
    return own.union(*map(imports, value.values()))


# ---- one operation on a stack ----------------------------------------------------------------


def note(stack, name, status, reason=None):
    resource = stack.resource_map._parsed_resources.get(name)
    stack.events.append(Event(
        stack_id=stack.stack_id, stack_name=stack.name, logical_resource_id=name,
        physical_resource_id=getattr(resource, "physical_resource_id", None) or "",
        resource_type=stack.template_dict.get("Resources", {}).get(name, {}).get("Type", ""),
        resource_status=status, resource_status_reason=reason, resource_properties=None))


def become(stack, status, reason=None):
    stack.status, stack.stack_status_reason = status, reason
    stack._add_stack_event(status, reason)


beginning = threading.Lock()


def begin(stack, status, do):
    """Starts an operation. Only one goes on in a stack: another one is refused."""
    with beginning:
        if is_busy(stack):
            raise ValidationError(message=refusals[status].format(stack))
        become(stack, status, "User Initiated")
    operations.Operation(do, lambda failure: become(stack, status.replace("IN_PROGRESS", "FAILED"), reason_of(failure)))


def is_busy(stack):
    """Whether an operation goes on. A stack in review has a change set and nothing else."""
    return stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS"


# By the status of the operation that is refused.
CANNOT_BE_UPDATED = "Stack:{0.stack_id} is in {0.status} state and can not be updated."
refusals = {
    "CREATE_IN_PROGRESS": CANNOT_BE_UPDATED,
    "UPDATE_IN_PROGRESS": CANNOT_BE_UPDATED,
    "DELETE_IN_PROGRESS": "Stack [{0.stack_id}] cannot be deleted while in status {0.status}",
}


def load(stack, template, parameters):
    stack.template, stack.parameters = template, parameters
    stack._parse_template()
    known = stack.resource_map
    known._template, known._resource_json_map = stack.template_dict, stack.template_dict["Resources"]
    known.input_parameters, known.resolved_parameters = parameters, {}
    known.load_mapping()
    known.load_parameters()
    # AWS: the default of a list is a list, as a value that is given is. moto leaves a string.
    for name, slot in stack.template_dict.get("Parameters", {}).items():
        if slot["Type"] == "CommaDelimitedList" and isinstance(known[name], str):
            known._parsed_resources[name] = known.resolved_parameters[name] = known[name].split(",")
    known.load_conditions()


def resolved(stack, name):
    with dynamic_references.secrets_unread():
        parsed = parsing.parse_resource_and_generate_name(name, dict(known_json(stack, name)), stack.resource_map)
    return parsed and (parsed[1], parsed[2])


def known_json(stack, name):
    return stack.template_dict["Resources"][name]


def is_custom(json_of_resource):
    kind = json_of_resource["Type"]
    return kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource"


def is_declared(stack, name):
    """Whether the loaded template has a resource, and its condition holds."""
    resources = stack.template_dict["Resources"]
    condition = resources.get(name, {}).get("Condition")
    return name in resources and (condition is None or stack.resource_map.lazy_condition_map[condition])


def make(stack, name):
    """Creates one resource, or brings it to the loaded template. Says whether it did anything."""
    known, resource_json = stack.resource_map, known_json(stack, name)
    existing = known._parsed_resources.get(name)
    if not is_declared(stack, name):
        return False
    if not is_custom(resource_json):
        parsed = resolved(stack, name)  # the second is a name that moto invents, another one each time
        fingerprint = json.dumps(parsed and parsed[0], default=str, sort_keys=True)
        before = stack.fingerprints.get(name)
        stack.fingerprints[name] = fingerprint
        if existing is None:
            note(stack, name, "CREATE_IN_PROGRESS")
            known[name]
            note(stack, name, "CREATE_COMPLETE")
        elif fingerprint != before:
            changed = parsing.parse_and_update_resource(name, resource_json, known, stack.account_id, stack.region_name)
            if changed is not None:
                known._parsed_resources[name] = changed
            note(stack, name, "UPDATE_COMPLETE")
        else:
            return False
        return True
    cleaned, invented = resolved(stack, name)
    properties = strings(cleaned["Properties"])
    if existing is None:
        custom = Custom(stack.stack_id, name, resource_json["Type"], stack.account_id, stack.region_name, invented)
        known._parsed_resources[name] = custom
        note(stack, name, "CREATE_IN_PROGRESS")
        custom.create(properties)
        note(stack, name, "CREATE_COMPLETE")
    elif properties != existing.properties:
        if properties["ServiceToken"] != existing.properties["ServiceToken"]:
            raise Failed("Modifying service token is not allowed.")
        note(stack, name, "UPDATE_IN_PROGRESS")
        existing.update(properties)
        note(stack, name, "UPDATE_COMPLETE")
    else:
        return False
    return True


def unmake(stack, name, resource_json, new=False):
    """Deletes one resource, unless it is to be retained. new says that the operation that is rolled back has created it.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    kept = ("Retain",) if new else ("Retain", "RetainExceptOnCreate")
    resource = stack.resource_map._parsed_resources.get(name)
    if resource is not None and not isinstance(resource, str) and resource_json.get("DeletionPolicy") not in kept:
        note(stack, name, "DELETE_IN_PROGRESS")
        if isinstance(resource, Custom):
            resource.delete()
        else:
            stack.resource_map._delete_resource(resource, resource_json)
        note(stack, name, "DELETE_COMPLETE")
    stack.resource_map._parsed_resources.pop(name, None)
    stack.fingerprints.pop(name, None)


def clean_up(stack):
    for resource in list(stack.resource_map._parsed_resources.values()):
        if isinstance(resource, Custom):
            resource.clean_up()


def publish(backend, stack):
    """Outputs and exports as they are now: they stay so, whatever an operation changes meanwhile."""
    stack.output_map = stack._create_output_map()
    list(stack.output_map.values())
    for name in [name for name, owner in backend.exporters.items() if owner == stack.stack_id]:
        backend.exports.pop(name, None)
        del backend.exporters[name]
    for export in stack.exports:
        backend.exports[export.name] = export
        backend.exporters[export.name] = stack.stack_id
    stack.imports = imports(stack.template_dict)


def create(backend, stack, template, parameters):
    load(stack, template, parameters)  # first: what is refused makes no stack
    begin(stack, "CREATE_IN_PROGRESS", lambda: create_resources(backend, stack))


def create_resources(backend, stack):
    resources, made = stack.template_dict["Resources"], []
    try:
        for name in ordered(resources):
            made.append(name)
            make(stack, name)
    except (Failed, Exception) as failed:
        reason = reason_of(failed)
        note(stack, made[-1], "CREATE_FAILED", reason)
        become(stack, "ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: [{made[-1]}].")
        taken_down(stack, take_down(stack, made, new=True), "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
        return
    publish(backend, stack)
    become(stack, "CREATE_COMPLETE")


def take_down(stack, names, new=False):
    """Deletes resources, dependents first. Returns those that could not be deleted. What they refer to stays too."""
    # To look up an output, moto would create the resource that it names again.
    stack.output_map = {}
    failures, needed = [], set()
    for name in reversed(names):
        if name in needed:
            needed |= references(known_json(stack, name))
            continue
        try:
            unmake(stack, name, known_json(stack, name), new)
        except (Failed, Exception) as failed:
            note(stack, name, "DELETE_FAILED", reason_of(failed))
            failures.append(name)
            needed |= references(known_json(stack, name))
    return failures


def taken_down(stack, failures, complete, failed):
    become(stack, failed if failures else complete, f"The following resource(s) failed to delete: {failures}." if failures else None)


def delete(backend, stack):
    failures = take_down(stack, ordered(stack.template_dict.get("Resources", {})))
    if not failures:
        for name in [name for name, owner in backend.exporters.items() if owner == stack.stack_id]:
            backend.exports.pop(name, None)
            del backend.exporters[name]
        backend.deleted_stacks[stack.stack_id] = stack
        del backend.stacks[stack.stack_id]
    # Last: then another stack may have the name.
    taken_down(stack, failures, "DELETE_COMPLETE", "DELETE_FAILED")


def update(backend, stack, template, parameters):
    begin(stack, "UPDATE_IN_PROGRESS", lambda: update_resources(backend, stack, template, parameters))


def update_resources(backend, stack, template, parameters):
    previous = (stack.template, stack.parameters)
    previous_resources = stack.template_dict["Resources"]
    there = {name for name in previous_resources if name in stack.resource_map._parsed_resources}
    touched, name = [], None
    try:
        load(stack, template, parameters)
        for name in ordered(stack.template_dict["Resources"]):
            touched.append(name)
            make(stack, name)
        publish(backend, stack)
    except (Failed, Exception) as failed:
        note(stack, name, "UPDATE_FAILED" if name in there else "CREATE_FAILED", reason_of(failed))
        roll_back(backend, stack, previous, there, touched)
        return
    become(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    for removed in reversed(ordered(previous_resources)):
        if not is_declared(stack, removed):
            try:
                unmake(stack, removed, previous_resources[removed])
            except (Failed, Exception) as failed:  # does not fail the stack
                note(stack, removed, "DELETE_FAILED", reason_of(failed))
    clean_up(stack)
    become(stack, "UPDATE_COMPLETE")


def roll_back(backend, stack, previous, there, touched):
    become(stack, "UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: [{touched[-1] if touched else ''}].")
    new_resources = stack.template_dict["Resources"]
    load(stack, *previous)
    name = None
    try:
        for name in ordered(stack.template_dict["Resources"]):
            if name in touched and name in there:
                make(stack, name)
    except (Failed, Exception) as failed:
        note(stack, name, "UPDATE_FAILED", reason_of(failed))
        become(stack, "UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{name}].")
        return
    for name in reversed(touched):
        if name not in there:
            try:
                unmake(stack, name, new_resources[name], new=True)
            except (Failed, Exception) as failed:
                note(stack, name, "DELETE_FAILED", reason_of(failed))
    clean_up(stack)
    publish(backend, stack)
    become(stack, "UPDATE_ROLLBACK_COMPLETE")


# ---- moto's API, on this engine --------------------------------------------------------------


def may_change(stack):
    if is_busy(stack) or stack.status.endswith("ROLLBACK_COMPLETE") and not stack.status.startswith("UPDATE_") or stack.status.endswith("_FAILED"):
        raise ValidationError(message=CANNOT_BE_UPDATED.format(stack))


def equip(backend, stack):
    stack.fingerprints, stack.imports = {}, set()
    # Values of other stacks are looked up when they are needed.
    stack.cross_stack_resources = stack.resource_map.cross_stack_resources = backend.exports


def as_text(values):
    """Parameters as a caller gives them: moto keeps lists and numbers."""
    return {name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in values.items()}


def is_unchanged(stack, template, parameters, tags):
    """Whether an update would be refused, because No updates are to be performed."""
    new = Stack.parse_template(template)
    slots = new.get("Parameters") or {}
    values = {name: slot.get("Default") for name, slot in slots.items()} | {n: v for n, v in parameters.items() if n in slots}
    return (new == stack.template_dict and as_text(values) == as_text(stack.given_parameters())
            and (tags is None or tags == stack.tags))


def given_parameters(self):
    """Each parameter's value, also those that are defaults."""
    slots = self.template_dict.get("Parameters") or {}
    return {name: self.parameters.get(name, slot.get("Default")) for name, slot in slots.items()}


def change(backend, stack, template, parameters, tags=None):
    """UpdateStack."""
    may_change(stack)
    if is_unchanged(stack, template, parameters, tags):
        raise ValidationError(message="No updates are to be performed.")
    if tags is not None:
        stack.tags = dict(tags)
    update(backend, stack, template, parameters)


def patched_create_stack(self, name, template, parameters, **rest):
    if name in [stack.name for stack in self.stacks.values()]:
        raise ValidationError(message=f"Stack [{name}] already exists")
    stack = Stack(stack_id=generate_stack_id(name, self.region_name, self.account_id), name=name, template={}, parameters=parameters,
                  account_id=self.account_id, region_name=self.region_name, notification_arns=rest.get("notification_arns"),
                  tags=rest.get("tags"), role_arn=rest.get("role_arn"))
    equip(self, stack)
    self.stacks[stack.stack_id] = stack
    try:
        create(self, stack, template, parameters)
    except Exception:  # the template or its parameters are refused: no stack was created
        del self.stacks[stack.stack_id]
        raise
    return stack


def patched_update_stack(self, name, template, role_arn=None, parameters=(), tags=None):
    stack = self.get_stack(name)
    previous = stack.given_parameters()
    values = {p["ParameterKey"]: p["ParameterValue"] if "ParameterValue" in p else previous[p["ParameterKey"]] for p in parameters}
    change(self, stack, template, as_text(values), tags)
    return stack


original_create_change_set = CloudFormationBackend.create_change_set


def patched_create_change_set(self, stack_name, *arguments, **rest):
    for stack in self.stacks.values():
        if stack.name == stack_name:
            may_change(stack)
    made = original_create_change_set(self, stack_name, *arguments, **rest)
    stack, change_set = self.stacks[made[1]], self.change_sets[made[0]]
    if not hasattr(stack, "fingerprints"):
        equip(self, stack)
    elif is_unchanged(stack, change_set.template, change_set.parameters, change_set.tags):
        change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
        change_set.status_reason = "The submitted information didn't contain changes. Submit different information to create a change set."
    else:
        change_set.status, change_set.execution_status, change_set.status_reason = "CREATE_COMPLETE", "AVAILABLE", None
    return made


def patched_execute_change_set(self, change_set_name, stack_name=None):
    change_set = self.describe_change_set(change_set_name)
    stack = self.stacks[change_set.stack_id]
    stack.tags = change_set.tags or stack.tags
    (create if change_set.change_set_type == "CREATE" else update)(self, stack, change_set.template, as_text(change_set.parameters))
    change_set.execution_status = "EXECUTE_COMPLETE"


def patched_delete_stack(self, name_or_stack_id, retained=()):
    stack = next((s for s in self.stacks.values() if name_or_stack_id in (s.name, s.stack_id)), None)
    if stack is None or stack.status == "DELETE_IN_PROGRESS":
        return
    if retained and stack.status != "DELETE_FAILED":
        raise ValidationError(message=f"Invalid operation on stack [{stack.stack_id}]. When you delete a stack, specify which resources to retain only when the stack is in the DELETE_FAILED state.")
    for name in retained:
        stack.resource_map._parsed_resources.pop(name, None)
    for name, owner in self.exporters.items():
        users = [s.name for s in self.stacks.values() if name in getattr(s, "imports", ())]
        if owner == stack.stack_id and users:
            # Not DELETE_FAILED: the stack is again what it was, with the reason.
            # https://github.com/aws/aws-cdk/issues/604
            become(stack, stack.status, f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}")
            return
    begin(stack, "DELETE_IN_PROGRESS", lambda: delete(self, stack))


def delete_stack(self):
    """DeleteStack, of whose parameters moto reads the name alone."""
    self.cloudformation_backend.delete_stack(self._get_param("StackName"), self._get_param("RetainResources", []))
    return EmptyResult()


original_init = CloudFormationBackend.__init__


def patched_init(self, *arguments, **rest):
    original_init(self, *arguments, **rest)
    self.exporters = {}  # name of an export -> id of its stack


def without_no_value(cleaned):
    """AWS::NoValue leaves no entry in a list; moto leaves None."""
    return [value for value in cleaned if value is not None] if isinstance(cleaned, list) else cleaned


def existing_resources(self):
    """Those that exist. moto creates the others, in order to describe them."""
    known = self.resource_map
    return [known._parsed_resources[name] for name in known.resources if known._parsed_resources.get(name) is not None]


def install():
    clean = parsing.clean_json
    parsing.clean_json = lambda value, resources: without_no_value(clean(value, resources))
    original = parsing.resource_class_from_type

    def resource_class(kind):
        if kind == "AWS::CloudFormation::CustomResource" or kind.startswith("Custom::"):
            return Custom
        return own_types.get(kind) or original(kind)

    parsing.resource_class_from_type = resource_class
    CloudFormationBackend.__init__ = patched_init
    CloudFormationBackend.create_stack = patched_create_stack
    CloudFormationBackend.update_stack = patched_update_stack
    CloudFormationBackend.create_change_set = patched_create_change_set
    CloudFormationBackend.execute_change_set = patched_execute_change_set
    CloudFormationBackend.delete_stack = patched_delete_stack
    # What the responses hand back for UsePreviousValue, and what they refuse themselves.
    Stack.stack_resources = property(existing_resources)
    Stack.given_parameters = given_parameters
    Stack.stack_parameters = property(lambda self: as_text(self.given_parameters()))
    CloudFormationResponse.delete_stack = delete_stack
    CloudFormationResponse._validate_different_update = lambda *_: None
    operations.install()
