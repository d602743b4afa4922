"""The sandbox's AWS: moto's server, with CloudFormation's part played properly.

    python launcher.py --port PORT --emulator http://127.0.0.1:EMUPORT/2015-03-31/functions/function/invocations
        [--response-port PORT2] [--service-timeout-cap SECONDS] [--settle SECONDS]
        [--replacement-rollback update|delete] [--stdin-guard] [--verbose]

moto answers IAM, STS, S3, Secrets Manager, Lambda, Logs and CloudWatch; moto_fixes.py
makes it as strict as AWS where that matters here. Its CloudFormation knows of custom
resources little more than Create, and of rollback nothing; so stack operations are done
here, and of moto's engine only the parsing of templates and its resource types are used.
Every Lambda invocation goes to one runtime emulator, which runs the real bootstrap.

PORT2 (default: PORT + 1) is the bucket behind the ResponseURLs, and has two addresses
for tests: GET /_sandbox/requests is every custom resource request so far, with what was
answered; POST /_sandbox/reset forgets them.

It prints "ready" when it accepts connections, and listens on 127.0.0.1 only.
"""

import argparse
import copy
import dataclasses
import http.client
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.dont_write_bytecode = True  # the checkout stays as it is
os.environ.pop("MOTO_ACCOUNT_ID", None)  # the account is moto's default, 123456789012
warnings.simplefilter("ignore")

import moto_fixes
from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.cloudformation import models, parsing, responses
from moto.cloudformation.exceptions import AlreadyExistsException, CloudFormationError, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Stack, cloudformation_backends
from moto.cloudformation.utils import generate_stack_id, random_suffix
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult, EmptyResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

options = argparse.Namespace()
CLAIM = threading.RLock()  # held while a stack operation is admitted


class Failed(BaseException):
    """A resource failed. No Exception, because moto swallows and retries those."""

    def __init__(self, reason, sent=True, physical=None):
        super().__init__(reason)
        self.reason, self.sent, self.physical = reason, sent, physical


# --- Lambda -----------------------------------------------------------------------------

EMULATOR = threading.Lock()  # it takes one invocation at a time


def invoke(_function, event=None, taken=lambda: None):
    """Stands in for moto's Docker: body, whether the function failed, its log."""
    url = urllib.parse.urlsplit(options.emulator)
    with EMULATOR:
        taken()
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=960)  # Lambda's 15 minutes, and some
        try:
            connection.request("POST", url.path, json.dumps(event or {}), {"Content-Type": "application/json"})
            body = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            return json.dumps({"errorType": "Sandbox.NoEmulator", "errorMessage": str(error)}), True, ""
        finally:
            connection.close()
    try:
        failed = "errorType" in json.loads(body)
    except (ValueError, TypeError):
        failed = False
    return body, failed, ""


# --- The bucket for responses -----------------------------------------------------------


class Request:
    """One request to a custom resource, and what came back."""

    log = []  # for tests
    open = {}  # by path: a presigned URL stays valid after its answer, as on AWS

    def __init__(self, event):
        self.event, self.answers, self.outcome, self.reason = event, [], None, None
        self.taken, self.answered, self.first = threading.Event(), threading.Event(), None
        self.url = urllib.parse.urlsplit(event["ResponseURL"])
        Request.open[self.url.path] = self
        Request.log.append(self)

    def shown(self):
        return {"event": self.event, "answers": list(self.answers), "outcome": self.outcome, "reason": self.reason}

    def judge(self):
        """CloudFormation's reading of the first answer: its fields, or why they are refused."""
        if len(self.first) > 4096:
            return {}, "Response object is too long."
        try:
            answer = json.loads(self.first)
        except ValueError:
            return {}, "Response is not valid JSON"
        if not isinstance(answer, dict) or answer.get("Status") not in ("SUCCESS", "FAILED"):
            return {}, "Invalid Status"
        for field in ("StackId", "RequestId", "LogicalResourceId"):
            if answer.get(field) != self.event[field]:
                return {}, f"Invalid {field}"
        physical = answer.get("PhysicalResourceId")
        if not isinstance(physical, str) or not 0 < len(physical.encode()) <= 1024:
            return {}, "Invalid PhysicalResourceId"
        if not isinstance(answer.get("Reason", ""), str):
            return answer, "Invalid Reason"
        if not isinstance(answer.get("Data") or {}, dict):
            return answer, "Invalid Data"
        if answer["Status"] == "FAILED":
            return answer, (
                "Received response status [FAILED] from custom resource. "
                f"Message returned: {answer.get('Reason')} (RequestId: {self.event['RequestId']})"
            )
        return answer, None


class Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.close_connection = True
            return self.error(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
        if "Content-Length" not in self.headers:
            self.close_connection = True
            return self.error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, _, query = self.path.partition("?")
        request = Request.open.get(path)
        # S3 signs the method, path, query and some headers. A Content-Type or an
        # x-amz- header that CloudFormation did not sign breaks the signature.
        unsigned = self.headers.get("Content-Type") or [h for h in self.headers if h.lower().startswith("x-amz-")]
        status = 403 if request is None or query != request.url.query or unsigned else 200
        if request is not None:
            try:
                shown = json.loads(body)
            except ValueError:
                shown = body.decode(errors="replace")
            request.answers.append({"status": status, "body": shown})
        if status == 403:
            return self.error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the "
                              "signature you provided. Check your key and signing method.")
        self.reply(200, b"", "", {"ETag": f'"{secrets.token_hex(16)}"'})
        with CLAIM:
            if request.first is None:  # only the first answer counts
                request.first = body
                request.answered.set()

    def do_GET(self):
        if self.path != "/_sandbox/requests":
            return self.error(403, "AccessDenied", "Access Denied")
        self.reply(200, json.dumps([r.shown() for r in list(Request.log)]).encode(), "application/json")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/_sandbox/reset":
            return self.error(403, "AccessDenied", "Access Denied")
        Request.log.clear()
        self.reply(200, b"{}", "application/json")

    def error(self, status, code, message):
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
        self.reply(status, text.encode(), "application/xml")

    def reply(self, status, body, content_type, headers={}):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), **({"Content-Type": content_type} if body else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *arguments):
        if options.verbose:
            super().log_message(form, *arguments)


class BucketServer(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64


# --- Custom resources -------------------------------------------------------------------


class Custom(CloudFormationModel):
    """A custom resource as the rest of the template sees it: Ref and Fn::GetAtt."""

    def __init__(self, physical, data=None, origin=""):
        self.physical_resource_id, self.data, self.origin = physical, plain(data or {}, text=True), origin

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "AWS::CloudFormation::CustomResource"

    @classmethod
    def has_cfn_attr(cls, _attribute):
        return True  # only the answer tells

    def get_cfn_attribute(self, attribute):
        if attribute not in self.data:
            raise Failed(f"CustomResource attribute error: Vendor response doesn't contain {attribute} attribute in object {self.origin}")
        return self.data[attribute]


def is_custom(resource_type):
    return resource_type.startswith("Custom::") or resource_type == Custom.cloudformation_type()


def response_url(stack, name, request_id):
    bucket = "cloudformation-custom-resource-response-" + stack.region_name.replace("-", "")
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    # StackId keeps its slashes, and the parts are joined by an encoded bar.
    key = "%7C".join([urllib.parse.quote(stack.stack_id, safe="/"), name, request_id])
    query = urllib.parse.urlencode({
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": now, "X-Amz-SignedHeaders": "host", "X-Amz-Expires": 7200,
        "X-Amz-Credential": f"AKIASANDBOXCFN000000/{now[:8]}/{stack.region_name}/s3/aws4_request",
        "X-Amz-Signature": secrets.token_hex(32)})
    return f"http://127.0.0.1:{options.response_port}/{bucket}/{key}?{query}"


def ask(stack, want, kind, physical=None, old=None):
    """Sends one request and waits for its answer. Returns the resource that it tells of."""
    token, timeout = want.properties.get("ServiceToken"), want.properties.get("ServiceTimeout")
    try:
        _, _, _, region, account = str(token).split(":")[:5]
        function = lambda_backends[account][region].get_function(token)
    except Exception:  # whatever moto says of a function that is not there
        raise Failed(f"Function not found: {token}", sent=False) from None
    if timeout is not None and (not timeout.isdigit() or not 1 <= int(timeout) <= 3600):
        raise Failed("ServiceTimeout must be an integer between 1 and 3600", sent=False)
    request_id = str(uuid.uuid4())
    event = {"RequestType": kind, "ServiceToken": token, "ResponseURL": response_url(stack, want.name, request_id),
             "StackId": stack.stack_id, "RequestId": request_id, "LogicalResourceId": want.name}
    if physical is not None:
        event["PhysicalResourceId"] = physical
    event |= {"ResourceType": want.type, "ResourceProperties": want.properties}
    if old is not None:
        event["OldResourceProperties"] = old
    if timeout is not None:
        event["ServiceTimeout"] = timeout
    request = Request(json.loads(json.dumps(event)))

    def send():
        # CloudFormation invokes asynchronously: what the function returns, or
        # that it failed, is nobody's business; only the PUT counts.
        body, _, _ = function._invoke_lambda(event, taken=request.taken.set)
        if "Sandbox.NoEmulator" in body and not request.answered.is_set() and "refused" in body:
            request.reason = f"The sandbox's emulator at {options.emulator} does not answer."
            request.answered.set()

    threading.Thread(target=send, daemon=True).start()
    # The clock starts when the emulator takes the event: AWS would have started
    # another instance of the function instead of queueing.
    request.taken.wait()
    seconds = min(int(timeout or 3600), options.service_timeout_cap or 3600)
    if not request.answered.wait(seconds):
        request.outcome = "TIMEOUT"
        request.reason = (
            f"CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [{request_id}]. "
            "If you are using the Python cfn-response module, you may need to update your Lambda function code so that "
            "CloudFormation can attach the updated version.")
        raise Failed(request.reason)
    answer, reason = ({}, request.reason) if request.first is None else request.judge()
    request.outcome, request.reason = "FAILED" if reason else "SUCCESS", reason or answer.get("Reason")
    if reason:
        raise Failed(reason, physical=answer.get("PhysicalResourceId"))
    return Custom(answer["PhysicalResourceId"], answer.get("Data"), f"{stack.stack_id}|{want.name}|{request_id}")


# --- Templates --------------------------------------------------------------------------


def plain(value, text=False):
    """A copy without AWS::NoValue; with text, scalars become strings, as custom resources get them."""
    if isinstance(value, dict):
        return {key: plain(item, text) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [plain(item, text) for item in value if item is not None]
    if text and isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if text and value is not None else value


def normalise(node):
    """Spells functions in the one way that moto evaluates correctly."""
    if isinstance(node, list):
        return [normalise(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {{"Fn::Condition": "Condition"}.get(key, key): normalise(item) for key, item in node.items()}
    if list(node) == ["Fn::GetAtt"]:
        parts = node["Fn::GetAtt"].split(".") if isinstance(node["Fn::GetAtt"], str) else node["Fn::GetAtt"]
        return {"Fn::GetAtt": [parts[0], ".".join(parts[1:])]}  # an attribute may contain dots
    if list(node) == ["Fn::Sub"]:  # moto's own trips over several kinds of text
        text, known = node["Fn::Sub"] if isinstance(node["Fn::Sub"], list) else (node["Fn::Sub"], {})
        parts = re.split(r"\$\{([^}]*)\}", text)
        for i in range(1, len(parts), 2):
            name = parts[i].strip()
            if name.startswith("!"):
                parts[i] = "${" + name[1:] + "}"
            elif name in known:
                parts[i] = known[name]
            else:
                parts[i] = {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}
        return {"Fn::Join": ["", [part for part in parts if part != ""]]}
    return node


def references(node, conditions=None):
    """The names that Ref and Fn::GetAtt mention; with conditions, only in the branches that count."""
    if isinstance(node, list):
        for item in node:
            yield from references(item, conditions)
    elif isinstance(node, dict):
        for key, item in node.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt":
                yield item[0]
            elif key == "Fn::If" and conditions is not None:
                yield from references(item[1] if conditions[item[0]] else item[2], conditions)
            else:
                yield from references(item, conditions)


def depends(definition, conditions=None):
    explicit = definition.get("DependsOn") or []
    return {*references(definition.get("Properties"), conditions), *([explicit] if isinstance(explicit, str) else explicit)}


def validate(resource_map):
    """What CloudFormation refuses before it touches anything."""
    template, conditions = resource_map._template, resource_map.lazy_condition_map
    resources = template.get("Resources") or {}
    known = {*resources, *(template.get("Parameters") or {}), "AWS::NotificationARNs"}
    holds = {name for name, d in resources.items() if not d.get("Condition") or conditions.get(d["Condition"])}
    blocks = {"Resources": [(depends(d), depends(d, conditions) if name in holds else set()) for name, d in resources.items()],
              "Outputs": [(set(references(o)), set(references(o, conditions)) if not o.get("Condition") or conditions.get(o["Condition"]) else set())
                          for o in (template.get("Outputs") or {}).values()]}
    for block, mentions in blocks.items():
        missing = {n for every, counting in mentions for n in every if n not in known and not n.startswith("AWS::")}
        missing |= {n for every, counting in mentions for n in counting if n in resources and n not in holds and block == "Outputs"}
        if missing:
            raise ValidationError(message=f"Template format error: Unresolved resource dependencies [{', '.join(sorted(missing))}] "
                                  f"in the {block} block of the template")
    resource_map.order, visiting = [], []

    def visit(name):
        if name in visiting:
            raise ValidationError(message=f"Circular dependency between resources: [{', '.join(sorted(visiting))}]")
        if name in holds and name not in resource_map.order:
            visiting.append(name)
            for other in [n for n in resources if n in depends(resources[name], conditions)]:
                visit(other)
            visiting.remove(name)
            resource_map.order.append(name)

    for name in resources:
        visit(name)


def parameters_of(template, given):
    """Every parameter's text, defaults included."""
    slots = template.get("Parameters") or {}
    if unknown := [name for name in given if name not in slots]:
        raise ValidationError(message=f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {name: plain(given.get(name, slot.get("Default")), text=True) for name, slot in slots.items()}
    if missing := [name for name, value in values.items() if value is None]:
        raise ValidationError(message=f"Parameters: [{', '.join(missing)}] must have values")
    for name, slot in slots.items():
        items = values[name].split(",") if "List" in slot.get("Type", "") else [values[name]]
        for item in items:
            if "AllowedValues" in slot and item.strip() not in plain(slot["AllowedValues"], text=True):
                raise ValidationError(message=f"Parameter '{name}' must be one of AllowedValues")
            if "AllowedPattern" in slot and not re.fullmatch(slot["AllowedPattern"], item):
                raise ValidationError(message=f"Parameter {name} failed to satisfy constraint: "
                                      f"{slot.get('ConstraintDescription') or 'must match pattern ' + slot['AllowedPattern']}")
    return values


# --- Stack operations -------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Live:
    """A resource with the properties that it was last given."""

    name: str
    type: str
    properties: dict
    definition: dict
    depends: set
    resource: object = None
    dirty: bool = False  # an update of it failed
    status: str = ""

    @property
    def physical(self):
        return getattr(self.resource, "physical_resource_id", None) or ""


class Operation:
    """One create, update or delete of a stack."""

    def __init__(self, stack):
        self.stack, self.replaced, self.rolling_back, self.failed = stack, [], False, []

    def event(self, live, status, reason=None):
        live.status = status
        event = models.Event(self.stack.stack_id, self.stack.name, live.name, live.physical, live.type, status, reason,
                             json.dumps(live.properties, default=str))
        event.sendToSns(self.stack.account_id, self.stack.region_name, self.stack.notification_arns)
        self.stack.events.append(event)

    def keep(self, live):
        live.resource.logical_resource_id, live.resource.cf_resource_type = live.name, live.type
        self.stack.live = {**self.stack.live, live.name: live}
        self.stack.resource_map._parsed_resources[live.name] = live.resource

    def forget(self, live):
        self.stack.live = {name: other for name, other in self.stack.live.items() if other is not live}
        self.stack.resource_map._parsed_resources.pop(live.name, None)

    def bring(self):
        """Makes or changes every resource that is not yet as the template wants it, dependencies first."""
        stack = self.stack
        for name in stack.resource_map.order:
            definition = stack.template_dict["Resources"][name]
            live = stack.live.get(name)
            want = Live(name, definition["Type"], {}, definition, depends(definition, stack.resource_map.lazy_condition_map),
                        live and live.resource)
            verb = "UPDATE" if live else "CREATE"
            try:
                found = parsing.clean_json(copy.deepcopy(definition.get("Properties") or {}), stack.resource_map)
                want.properties = plain(found, text=is_custom(want.type))
                if live is None:
                    self.create(want)
                elif live.dirty or live.properties != want.properties:
                    self.update(live, want)
                else:
                    live.definition, live.depends = definition, want.depends
                    self.keep(live)
            except (Failed, Exception) as error:
                self.failed.append(name)
                self.event(stack.live.get(name, want), verb + "_FAILED", reason_of(error))
                raise Failed(reason_of(error)) from error

    def create(self, want):
        self.event(want, "CREATE_IN_PROGRESS")
        try:
            want.resource = ask(self.stack, want, "Create") if is_custom(want.type) else make(self.stack, want)
        except Failed as failure:
            if failure.sent:  # Delete will follow, with an invented id when the answer brought none
                want.resource = Custom(failure.physical or f"{self.stack.name}-{want.name}-{random_suffix()}")
                self.keep(want)
            raise
        self.keep(want)
        self.event(want, "CREATE_IN_PROGRESS", "Resource creation Initiated")
        self.event(want, "CREATE_COMPLETE")

    def update(self, live, want):
        self.event(want, "UPDATE_IN_PROGRESS")
        former = next((r for r in self.replaced if r.name == want.name and r.properties == want.properties), None)
        restore = self.rolling_back and former and (not is_custom(want.type) or options.replacement_rollback == "delete")
        try:
            if restore:
                # What an update replaced is still there, since cleanup never came.
                self.replaced.remove(former)
                want.resource = former.resource
            elif is_custom(want.type):
                if live.properties.get("ServiceToken") != want.properties.get("ServiceToken"):
                    raise Failed("Modifying service token is not allowed.", sent=False)
                want.resource = ask(self.stack, want, "Update", live.physical, live.properties)
            else:
                want.resource = change(self.stack, live, want)
        except (Failed, Exception) as failure:
            if getattr(failure, "sent", True):
                want.dirty = True
                if getattr(failure, "physical", None) not in (None, live.physical):
                    # The id of a failed answer counts too: the resource has it from now on.
                    self.replaced.append(live)
                    want.resource = Custom(failure.physical)
                self.keep(want)
            raise
        if want.physical != live.physical:
            self.replaced.append(live)
            if not restore:
                self.event(want, "UPDATE_IN_PROGRESS", "Requested update required the provider to create a new physical resource.")
        self.keep(want)
        self.event(want, "UPDATE_COMPLETE")

    def delete(self, live, policy="DeletionPolicy"):
        retained = live.definition.get(policy)
        if retained == "Retain" or retained == "RetainExceptOnCreate" and not self.stack.status.startswith(("ROLLBACK", "UPDATE_ROLLBACK")):
            self.event(live, "DELETE_SKIPPED")
            return True
        self.event(live, "DELETE_IN_PROGRESS")
        try:
            if is_custom(live.type):
                ask(self.stack, live, "Delete", live.physical)
            else:
                destroy(self.stack, live)
        except (Failed, Exception) as error:
            self.event(live, "DELETE_FAILED", reason_of(error))
            return False
        self.event(live, "DELETE_COMPLETE")
        return True

    def tear_down(self, order, retain=()):
        """Deletes everything, dependents first. What something undeletable depends on stays."""
        failed, kept = [], set()
        for live in sorted(self.stack.live.values(), key=lambda l: order.index(l.name) if l.name in order else -1, reverse=True):
            if live.name in retain:
                self.event(live, "DELETE_SKIPPED")
            elif live.name in kept or not self.delete(live):
                failed += [] if live.name in kept else [live.name]
                kept |= live.depends
                continue
            self.forget(live)
        return failed

    def clean_up(self, order):
        """Deletes what the update left over. Nothing that fails here fails the stack."""
        def current(live):
            return self.stack.live.get(live.name)
        left = [live for live in self.stack.live.values() if live.name not in self.stack.resource_map.order]
        left += {(r.name, r.physical): r for r in self.replaced if current(r) and current(r).physical != r.physical}.values()
        for live in sorted(left, key=lambda l: order.index(l.name) if l.name in order else -1, reverse=True):
            self.delete(live, "DeletionPolicy" if current(live) is live else "UpdateReplacePolicy")
            if current(live) is live:
                self.forget(live)

    def publish(self):
        """Works the outputs out anew, and the exports with them."""
        stack, backend = self.stack, backend_of(self.stack)
        outputs = stack._create_output_map()
        list(outputs.values())
        exports = {export.name: export for export in outputs.exports}
        with CLAIM:
            for name, export in backend.exports.items():
                if export.exporting_stack_id != stack.stack_id:
                    if name in exports:
                        raise Failed(f"Export with name {name} is already exported by stack {export.exporting_stack_id.split('/')[1]}.")
                elif name not in exports or exports[name].value != export.value:
                    if users := importers(backend, name):
                        raise Failed(f"Export {name} cannot be {'updated' if name in exports else 'deleted'} as it is in use by {' and '.join(users)}")
            others = {n: e for n, e in backend.exports.items() if e.exporting_stack_id != stack.stack_id}
            backend.exports = {**others, **exports}
        stack.output_map = outputs


def reason_of(error):
    return getattr(error, "reason", None) or getattr(error, "message", None) or str(error) or type(error).__name__


def backend_of(stack):
    return cloudformation_backends[stack.account_id][stack.region_name]


def importers(backend, export):
    def imports(node, stack):
        if isinstance(node, dict) and "Fn::ImportValue" in node:
            return parsing.clean_json(node["Fn::ImportValue"], stack.resource_map) == export
        return any(imports(item, stack) for item in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else []))
    return [s.name for s in backend.stacks.values() if s.live and imports(s.template_dict.get("Resources"), s)]


def make(stack, want):
    definition = {"Type": want.type, "Properties": copy.deepcopy(want.properties)}
    kind, definition, physical = parsing.parse_resource_and_generate_name(want.name, definition, stack.resource_map)
    try:
        return kind.create_from_cloudformation_json(physical, definition, stack.account_id, stack.region_name,
                                                    LogicalId=want.name, StackId=stack.stack_id, ResourceType=want.type)
    except Exception as error:
        raise Failed(reason_of(error), sent=False) from error


def change(stack, live, want):
    kind, key = parsing.resource_class_from_type(want.type), parsing.resource_name_property_from_type(want.type)
    if key and live.properties.get(key) != want.properties.get(key):
        return make(stack, want)  # another name is another resource
    if hasattr(kind.update_from_cloudformation_json, "__isabstractmethod__"):
        destroy(stack, live)  # moto cannot change this type
        return make(stack, want)
    physical = getattr(live.resource, "name", None) or live.physical
    properties = {**({key: physical} if key else {}), **copy.deepcopy(want.properties)}
    return kind.update_from_cloudformation_json(original_resource=live.resource, new_resource_name=physical, account_id=stack.account_id,
                                                cloudformation_json={"Type": want.type, "Properties": properties}, region_name=stack.region_name)


def destroy(stack, live):
    stack.resource_map._delete_resource(live.resource, {"Type": live.type, "Properties": live.properties})


def finish(stack, status, reason=None):
    stack._add_stack_event(status, resource_status_reason=reason)
    stack.status = status


def run_create(stack):
    operation = Operation(stack)
    try:
        operation.bring()
        operation.publish()
    except (Failed, Exception) as error:
        finish(stack, "ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: [{', '.join(operation.failed)}]. Rollback requested by user."
               if operation.failed else reason_of(error))
        failed = operation.tear_down(stack.resource_map.order)
        return finish(stack, *(("ROLLBACK_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ") if failed else ("ROLLBACK_COMPLETE",)))
    finish(stack, "CREATE_COMPLETE")


def run_update(stack, former):
    operation, attempted = Operation(stack), stack.resource_map.order
    try:
        operation.bring()
        operation.publish()
    except (Failed, Exception) as error:
        finish(stack, "UPDATE_ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to update: [{', '.join(operation.failed)}]. "
               if operation.failed else reason_of(error))
        vars(stack).update(former)
        stack.resource_map.cross_stack_resources = backend_of(stack).exports
        operation.rolling_back, operation.failed = True, []
        for live in stack.live.values():
            operation.keep(live)
        try:
            operation.bring()
        except Failed:
            return finish(stack, "UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{', '.join(operation.failed)}]. ")
        finish(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        operation.clean_up(attempted)
        operation.publish()
        return finish(stack, "UPDATE_ROLLBACK_COMPLETE")
    finish(stack, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    operation.clean_up(former["resource_map"].order)
    finish(stack, "UPDATE_COMPLETE")


def run_delete(stack, retain=()):
    backend = backend_of(stack)
    failed = Operation(stack).tear_down(getattr(stack.resource_map, "order", []), retain)
    if failed:
        return finish(stack, "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. ")
    with CLAIM:
        backend.exports = {n: e for n, e in backend.exports.items() if e.exporting_stack_id != stack.stack_id}
        backend.stacks = {i: s for i, s in backend.stacks.items() if s is not stack}
        backend.deleted_stacks = {**backend.deleted_stacks, stack.stack_id: stack}
        finish(stack, "DELETE_COMPLETE")


def begin(stack, status, work, *arguments):
    """Starts the operation, and gives it --settle seconds before the API answers: the CLI's waiters ask only every half minute."""
    before = stack.busy

    def run():
        if before:
            before.join()
        try:
            finish(stack, status, "User Initiated")
            work(stack, *arguments)
        except BaseException:
            traceback.print_exc()
            finish(stack, status.replace("IN_PROGRESS", "FAILED"), "Internal error of the sandbox: " + traceback.format_exc(limit=-1))

    if not before or not before.is_alive():
        stack.status = status  # at once, so that no other operation is admitted
    stack.busy = threading.Thread(target=run, daemon=True)
    stack.busy.start()
    return stack.busy


def adopt(stack, template, parameters, tags=None):
    """Gives the stack another template. Returns what it had, to be restored if the update fails."""
    former = {key: getattr(stack, key) for key in ("template", "template_dict", "parameters", "tags", "description", "resource_map", "output_map")}
    try:
        stack.template, stack.parameters, stack.tags = template, dict(parameters or {}), tags or stack.tags
        stack.cross_stack_resources = backend_of(stack).exports
        stack._parse_template()
        stack.description = stack.template_dict.get("Description")
        stack.resource_map = stack._create_resource_map()
        stack.resource_map.cross_stack_resources = stack.cross_stack_resources  # moto drops an empty one
        moved = [n for n in stack.resource_map.order if n in stack.live and stack.live[n].type != stack.template_dict["Resources"][n]["Type"]]
        if moved:
            raise ValidationError(message="Update of resource type is not permitted. The new template modifies resource type "
                                  f"of the following resources: [{', '.join(moved)}]")
    except BaseException:
        vars(stack).update(former)
        raise
    for name, live in stack.live.items():
        stack.resource_map._parsed_resources[name] = live.resource
    return former


def begin_create(stack, template, parameters, tags=None):
    adopt(stack, template, parameters, tags)
    stack.output_map = models.OutputMap(stack.resource_map, {}, stack.stack_id)
    return begin(stack, "CREATE_IN_PROGRESS", run_create)


def begin_update(stack, template, parameters, tags=None):
    if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
        raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
    return begin(stack, "UPDATE_IN_PROGRESS", run_update, adopt(stack, template, parameters, tags))


def unchanged(stack, template, parameters, tags):
    wanted = Stack.parse_template(template)
    return wanted == stack.template_dict and parameters_of(wanted, parameters) == stack.parameters and (not tags or tags == stack.tags)


# --- CloudFormation's API, in moto's place ----------------------------------------------


class InvalidChangeSetStatus(CloudFormationError):
    code = "InvalidChangeSetStatus"


def find(backend, name):
    return next((s for s in backend.stacks.values() if name in (s.name, s.stack_id)), None)


def create_stack(self, name, template, parameters, tags=None, **rest):
    with CLAIM:
        if find(self, name):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        stack = Stack(generate_stack_id(name, self.region_name, self.account_id), name, {}, {}, self.account_id, self.region_name, tags=tags, **rest)
        busy = begin_create(stack, template, parameters)
        self.stacks = {**self.stacks, stack.stack_id: stack}
    busy.join(options.settle)
    return stack


def update_stack(self, name, template, role_arn, parameters, tags):
    with CLAIM:
        stack = self.get_stack(name)
        given = self._resolve_update_parameters(stack, parameters)
        busy = None
        if stack.status.endswith("_COMPLETE") and unchanged(stack, template, given, tags):
            raise ValidationError(message="No updates are to be performed.")
        busy = begin_update(stack, template, given, tags)
    busy.join(options.settle)
    return stack


def create_change_set(self, stack_name, change_set_name, template, parameters, description, change_set_type, tags=None, **rest):
    with CLAIM:
        stack = find(self, stack_name)
        if change_set_type == "UPDATE" and stack and stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
            raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        if change_set_type == "CREATE" and stack:
            if stack.status != "REVIEW_IN_PROGRESS":
                raise ValidationError(message=f"Stack [{stack_name}] already exists and cannot be created again with the changeSet [{change_set_name}].")
            self.stacks = {i: s for i, s in self.stacks.items() if s is not stack}
        self.stacks, self.change_sets = dict(self.stacks), dict(self.change_sets)  # others may be reading the former
        parameters_of(Stack.parse_template(template), parameters)
        ids = original["create_change_set"](self, stack_name, change_set_name, template, parameters, description, change_set_type, tags=tags, **rest)
        change_set = self.change_sets[ids[0]]
        if stack and change_set.status == "FAILED" and not unchanged(stack, template, parameters, tags):
            change_set.status, change_set.execution_status, change_set.status_reason = "CREATE_COMPLETE", "AVAILABLE", None
        return ids


def execute_change_set(self, change_set_name, stack_name=None):
    with CLAIM:
        found = [c for c in self.change_sets.values() if change_set_name == c.change_set_id
                 or change_set_name == c.change_set_name and stack_name in (None, c.stack_name, c.stack_id)]
        if not found:
            raise ValidationError(message=f"ChangeSet [{change_set_name}] does not exist")
        change_set = found[-1]
        if change_set.execution_status != "AVAILABLE":
            raise InvalidChangeSetStatus(f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of [{change_set.status}]")
        start = begin_create if change_set.change_set_type == "CREATE" else begin_update
        busy = start(change_set.stack, change_set.template, change_set.parameters, change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"
    busy.join(options.settle)


def delete_stack(self, name_or_stack_id, retain=()):
    with CLAIM:
        stack = find(self, name_or_stack_id)
        if stack is None or stack.status == "DELETE_IN_PROGRESS":
            return
        if stack.enable_termination_protection:
            raise ValidationError(message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if retain and stack.status != "DELETE_FAILED":
            raise ValidationError(message=f"Invalid operation on stack [{stack.stack_id}]. Resources can be retained only in DELETE_FAILED.")
        for export in [n for n, e in self.exports.items() if e.exporting_stack_id == stack.stack_id]:
            if users := importers(self, export):
                # On AWS too the call succeeds, and an event is all that tells.
                return stack._add_stack_event(stack.status, f"Export {export} cannot be deleted as it is in use by {' and '.join(users)}")
        busy = begin(stack, "DELETE_IN_PROGRESS", run_delete, retain)
    busy.join(options.settle)


original = {"create_change_set": CloudFormationBackend.create_change_set, "Stack": Stack.__init__,
            "resource_map": Stack._create_resource_map, "parse": Stack.parse_template, "validate": parsing.ResourceMap.validate_outputs}


def new_stack(self, *arguments, **keywords):
    self.live, self.busy = {}, None
    original["Stack"](self, *arguments, **keywords)


def resource_map_of(self):
    self.parameters = parameters_of(self.template_dict, self.parameters) if self.template_dict else {}
    return original["resource_map"](self)


def look_up(self, key):
    """Never creates, unlike moto's: that is for the operation alone, in its order."""
    if key in self._parsed_resources or key not in self._resource_json_map:
        return self._parsed_resources[key]
    return None


def exports_of(self):
    return [parsing.Export(self._stack_id, parsing.clean_json(output["Export"]["Name"], self._resource_map), self[key].value)
            for key, output in (self._output_json_map or {}).items() if output.get("Export") and self[key]]


def resource_details(self, stack, resource):
    live = stack.live.get(resource.logical_resource_id)
    self.stack_id, self.stack_name, self.stack_status = stack.stack_id, stack.name, stack.status
    self.logical_resource_id, self.physical_resource_id = resource.logical_resource_id, resource.physical_resource_id
    self.resource_type, self.resource_status = resource.cf_resource_type, live.status if live else ""
    self.creation_time = self.timestamp = self.last_updated_timestamp = stack.creation_time


def list_stack_resources(self):
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    return ActionResult({"StackResourceSummaries": [responses.StackResourceDTO(stack, resource) for resource in stack.stack_resources]})


def delete_stack_call(self):
    self.cloudformation_backend.delete_stack(self._get_param("StackName"), self._get_param("RetainResources") or ())
    return EmptyResult()


def template_from(url, account_id, partition):
    """moto takes the first label of an IP address for the bucket."""
    bucket, _, key = urllib.parse.urlsplit(url).path.lstrip("/").partition("/")
    if not urllib.parse.urlsplit(url).hostname.startswith(("127.0.0.1", "localhost", "s3.")):
        return stored_template(url, account_id, partition)
    return parsing.s3_backends[account_id][partition].get_object(bucket, urllib.parse.unquote(key)).value.decode()


stored_template = models.get_stack_from_s3_url


def patch():
    LambdaFunction._invoke_lambda = invoke
    parsing.CustomModel = Custom
    parsing.ResourceMap.__getitem__ = look_up
    parsing.ResourceMap.validate_outputs = lambda self: (validate(self), original["validate"](self))
    parsing.OutputMap.exports = property(exports_of)
    models.get_stack_from_s3_url = responses.get_stack_from_s3_url = template_from
    Stack.__init__, Stack._create_resource_map = new_stack, resource_map_of
    Stack.parse_template = staticmethod(lambda text: normalise(original["parse"](text)))
    models.ChangeSet._parse_template = lambda self: vars(self).update(template_dict=Stack.parse_template(self.template))
    Stack.stack_parameters = property(lambda self: self.parameters)
    Stack.parameter_list = property(lambda self: [
        {"ParameterKey": k, "ParameterValue": "****" if k in self.resource_map.no_echo_parameter_keys else v} for k, v in self.parameters.items()])
    Stack.stack_resources = property(lambda self: [live.resource for live in self.live.values()])
    # These two serve the hidden stacks of service-managed stack sets.
    Stack.create_resources = lambda self: begin_create(self, self.template, self.parameters).join()
    Stack.delete = lambda self: begin(self, "DELETE_IN_PROGRESS", run_delete).join()
    for function in (create_stack, update_stack, create_change_set, execute_change_set, delete_stack):
        setattr(CloudFormationBackend, function.__name__, function)
    responses.StackResourceDTO.__init__ = resource_details
    responses.CloudFormationResponse.list_stack_resources = list_stack_resources
    responses.CloudFormationResponse.delete_stack = delete_stack_call
    responses.CloudFormationResponse._validate_different_update = lambda *_: None  # see unchanged
    responses.CloudFormationResponse._validate_status = lambda *_: None  # see begin_update
    moto_fixes.apply()


# --- The server -------------------------------------------------------------------------


class Handler(MotoRequestHandler):
    def log(self, *arguments, **keywords):
        if options.verbose:
            super().log(*arguments, **keywords)


def leave_with_stdin():
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--emulator", required=True, help="the invocation URL of the runtime emulator")
    parser.add_argument("--response-port", type=int, help="default: the port after --port")
    parser.add_argument("--service-timeout-cap", type=float, help="wait for an answer at most so many seconds")
    parser.add_argument("--settle", type=float, default=45, help="seconds for which API calls wait for a stack operation to end; 0: as on AWS")
    parser.add_argument("--replacement-rollback", choices=("update", "delete"), default="update",
                        help="how a replaced custom resource is rolled back: by an Update, or only by the Delete of the new one")
    parser.add_argument("--stdin-guard", action="store_true", help="exit when standard input ends")
    parser.add_argument("--verbose", action="store_true", help="log requests on standard error")
    parser.parse_args(namespace=options)
    options.response_port = options.response_port or options.port + 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    if options.stdin_guard:
        threading.Thread(target=leave_with_stdin, daemon=True).start()
    out, sys.stdout = sys.stdout, sys.stderr  # moto prints too
    patch()
    bucket = BucketServer(("127.0.0.1", options.response_port), Bucket)
    threading.Thread(target=bucket.serve_forever, daemon=True).start()
    server = make_server("127.0.0.1", options.port, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Handler)
    print("ready", file=out, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
