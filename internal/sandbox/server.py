"""Start moto's server with what it lacks: an engine for custom resources (cloudformation.py),
Lambda through the runtime emulator instead of a container (functions that are there before their
stack, or each from its stack's zip: functions.py), rotation (rotation.py), stack sets and their organization (stacksets.py, organization.py), and some
of AWS's own rules (aws_rules.py, other_accounts.py). Listens on 127.0.0.1 only; prints `ready`
once it does.
"""

import argparse
import functools
import json
import logging
import os
import signal
import sys
import threading
import urllib.request

import autodeployment
import aws_rules
import cloudformation
import dynamic_references
import functions
import kms
import moto.backends
import moto.core.responses
import organization
import other_accounts
import plain_resources
import rotation
import stackset_api
import stackset_resource
import told
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

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
            raise LambdaClientError("ServiceException", "this sandbox runs no function, because Lambda's runtime emulator needs Linux; run it by make invoke EVENT=...")
        body = event if isinstance(event, str) else json.dumps(event or {})
        body = body.replace(FOR_CONTAINERS, endpoint).encode()
        with one_at_a_time[name], urllib.request.urlopen(urllib.request.Request(emulators[name], data=body)) as response:
            answer = response.read().decode()
        return answer, functions.failed(answer), ""

    return invoke


def hurry():
    """Two questions that moto asks at every request, and whose answers never change: they are
    two thirds of what a request costs."""
    services = frozenset(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: services
    moto.core.responses.method_names_from_class = functools.cache(moto.core.responses.method_names_from_class)


def end_with_parent():
    """Standard input ends when whoever started us does."""
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
    organization.install()
    stackset_api.install()
    stackset_resource.install()
    plain_resources.install()
    autodeployment.install()
    hurry()
    server = make_server("127.0.0.1", chosen.port, DomainDispatcherApplication(create_backend_app), threaded=True)
    if chosen.stdin_guard:
        threading.Thread(target=end_with_parent, daemon=True).start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
