"""Start moto's server with what it lacks:

- an engine for custom resources (cloudformation.py), whose operations go on by themselves (operations.py);
- Lambda through the runtime emulator, without a container. The functions exist before their stack, or
  each is run from the zip of its stack (functions.py);
- rotation (rotation.py), stack sets and their organization (stacksets.py, organization.py);
- some of AWS's own rules (aws_rules.py, other_accounts.py, invocation.py).

It listens on 127.0.0.1 only, and then prints `ready`.
"""

import argparse
import functools
import gc
import io
import json
import logging
import os
import signal
import string
import sys
import threading
import traceback
import urllib.request

# moto reads it while it is imported: no browser asks the sandbox.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

import autodeployment
import aws_rules
import cloudformation
import dynamic_references
import functions
import invocation
import kms
import moto.backends
import moto.core.errors
import moto.core.responses
import organization
import other_accounts
import plain_resources
import rotation
import stackset_api
import stackset_resource
import told
import xmltodict
import yaml
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.cloudformation.models import yaml_tag_constructor
from moto.moto_api._internal import mock_random
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

# Where events/ say that the sandbox is: as a container knows it.
FOR_CONTAINERS = "http://host.docker.internal:4599/"


def invoke_through(emulators, endpoint):
    """Emulators are URLs by the names of functions; none: no function runs."""
    one_at_a_time = {name: threading.Lock() for name in emulators}  # an emulator panics when a second event comes meanwhile

    def invoke(function, event=None):
        """In place of moto's, which starts a container: (body, whether it failed, log)."""
        name = function.function_name
        if name not in emulators:
            if isinstance(event, str) and json.loads(event).get("ResourceType") == cloudformation.GUARD:
                return cloudformation.answer_guard(json.loads(event)), False, ""
            raise LambdaClientError("ServiceException", "this sandbox does not run the function, because Lambda's runtime emulator needs Linux; run it by make invoke EVENT=...")
        body = event if isinstance(event, str) else json.dumps(event or {})
        body = body.replace(FOR_CONTAINERS, endpoint).encode()
        with one_at_a_time[name], urllib.request.urlopen(urllib.request.Request(emulators[name], data=body)) as response:
            answer = response.read().decode()
        return answer, functions.failed(answer), ""

    return invoke


def hurry():
    """Has moto keep what is the same at each request: to compute it again took longer than to answer
    the tests' requests."""
    services = frozenset(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: services
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)
    moto.core.errors.ErrorLookupFactory = functools.cache(moto.core.errors.ErrorLookupFactory)
    xmltodict._validate_name = functools.cache(xmltodict._validate_name)
    # A request id has 52 characters, drawn one by one.
    type(mock_random).get_random_string = random_string
    # The same parser, in C where PyYAML has it.
    yaml.Loader = getattr(yaml, "CLoader", yaml.Loader)
    yaml.add_multi_constructor("", yaml_tag_constructor, yaml.Loader)


def random_string(random, length=20, include_digits=True, lower_case=False):
    """In place of moto's, with one draw for all characters."""
    drawn = "".join(random.choices(string.ascii_letters + (string.digits if include_digits else ""), k=length))
    return drawn.lower() if lower_case else drawn


class Handler(WSGIRequestHandler):
    """werkzeug's, but connections stay open, as AWS's do, and no line is put together for a log that
    shows errors alone: a thread and a connection for each request cost more than the answer."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code="-", size="-"):
        pass

    def run_wsgi(self):
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        # Read whole, so that the next request begins where this one ends.
        size = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
        try:
            response = Response.from_app(self.server.app, environ, buffered=True)
        except Exception:
            self.server.log("error", f"Error on request:\n{traceback.format_exc()}")
            response = Response(status=500)
        parts, status, headers = response.get_wsgi_response(environ)
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        # In one piece: two would wait for each other on the way.
        head, self._headers_buffer = b"".join([*self._headers_buffer, b"\r\n"]), []
        self.wfile.write(head + b"".join(parts))


def end_with_parent():
    """Standard input ends when the process that started us ends."""
    while sys.stdin.buffer.read(1):
        pass
    if os.getpgrp() == os.getpid():  # then whatever we have started is in our group
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--response-port", type=int, required=True)
    options.add_argument("--emulator", metavar="FUNCTION=URL", action="append", default=[], help="of each function that runs")
    options.add_argument("--own-functions", metavar="EMULATOR", help="the emulator's program: each function is a process of its own")
    options.add_argument("--functions-directory", help="for --own-functions: where their code and logs are")
    options.add_argument("--stdin-guard", action="store_true")
    chosen = options.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if chosen.own_functions:
        hosts = f"127.0.0.1:{chosen.response_port},127.0.0.1:{chosen.port}"
        functions.install(functions.Runner(chosen.own_functions, chosen.functions_directory, f"http://127.0.0.1:{chosen.port}", hosts))
    else:
        LambdaFunction._invoke_lambda = invoke_through(dict(given.split("=", 1) for given in chosen.emulator), f"http://127.0.0.1:{chosen.port}/")
    cloudformation.install()
    dynamic_references.install()
    cloudformation.serve_responses(chosen.response_port)
    aws_rules.install()
    rotation.install()
    told.install()
    kms.install()
    other_accounts.install()
    invocation.install()
    organization.install()
    stackset_api.install()
    stackset_resource.install()
    plain_resources.install()
    autodeployment.install()
    hurry()
    server = make_server("127.0.0.1", chosen.port, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Handler)
    if chosen.stdin_guard:
        threading.Thread(target=end_with_parent, daemon=True).start()
    gc.freeze()  # all that was imported stays: Python need not look through it again
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
