"""Each Lambda function a process of its own, as on Lambda: its own code from its own region's
bucket, the environment that its template gives it, and its role's credentials.

A process is started at a function's first event, under Lambda's runtime emulator, and again
when the code or the configuration has changed since. It takes one event at a time. What it
prints is in DIRECTORY/ACCOUNT/REGION/NAME.log.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile

from aws_rules import wrapping
from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.sts.models import sts_backends

INVOKE = "/2015-03-31/functions/function/invocations"
SESSION_SECONDS = 12 * 3600  # longer than any sandbox lives
START_SECONDS = 60
START_ATTEMPTS = 3
END_SECONDS = 10
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
LOG_TAIL_BYTES = 4096

# Functions listen on a loopback address of our own, 127.64.0.0 and our process's id. On 127.0.0.1 another
# sandbox's function could take a port between our look and our start, and get our event.
ADDRESS = f"127.{64 + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"


class Function:
    """The process of one function, or the lack of one."""

    def __init__(self, runner):
        self.runner, self.process, self.started_with, self.url, self.code = runner, None, None, None, None
        self.one_at_a_time = threading.Lock()

    def invoke(self, function, event):
        """The answer, and the end of what the function has logged meanwhile."""
        with self.one_at_a_time:
            expected = what_runs(function)
            if self.process is None or self.started_with != expected or self.process.poll() is not None:
                self.stop()
                self.start(function)
                self.started_with = expected
            with open(self.runner.log_of(function), "rb") as log:
                log.seek(0, os.SEEK_END)
                return self.answer(event), log.read()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")

    def answer(self, event):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, data=event.encode())) as response:
                return response.read().decode()
        except urllib.error.HTTPError as failed:
            return failed.read().decode()

    def start(self, function):
        if not function.code_bytes:
            raise LambdaClientError("InvalidParameterValueException", f"{function.function_name} has no code")
        self.code = tempfile.mkdtemp(dir=self.runner.directory, prefix="code-")
        unpack(function.code_bytes, self.code)
        bootstrap = os.path.join(self.code, "bootstrap")
        log = self.runner.log_of(function)
        for attempt in range(START_ATTEMPTS):  # a port that is free now may be taken then
            invoke_at, runtime_api = f"{ADDRESS}:{self.runner.free_port()}", f"{ADDRESS}:{self.runner.free_port()}"
            with open(log, "ab") as output:
                # In our process group, which ends with the sandbox.
                self.process = subprocess.Popen(
                    [self.runner.emulator, "--log-level", "error", "--runtime-interface-emulator-address", invoke_at,
                     "--runtime-api-address", runtime_api, bootstrap],
                    env=self.runner.environment_of(function), cwd=self.code, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            self.url = f"http://{invoke_at}{INVOKE}"
            # Both: the emulator takes an event before it listens to the program that has to answer it.
            if listens(self.process, runtime_api) and listens(self.process, invoke_at):
                return
            self.end()
        raise LambdaClientError("ServiceException", f"the runtime emulator does not start; see {log}")

    def end(self):
        if self.process is None:
            return
        self.process.terminate()  # the emulator ends the bootstrap too
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self):
        self.end()
        if self.code:
            shutil.rmtree(self.code, ignore_errors=True)
            self.code = None


def unpack(code, directory):
    """Files with the modes that the zip gives them: Lambda starts no bootstrap that may not be executed."""
    with zipfile.ZipFile(io.BytesIO(code)) as packed:
        for entry in packed.infolist():
            path = packed.extract(entry, directory)
            if not entry.is_dir():
                os.chmod(path, entry.external_attr >> 16 & 0o777)


def what_runs(function):
    """What a process was started with: it is stale when this has changed."""
    return (function.code_sha_256, dict(function.environment_vars), function.role, function.timeout, function.memory_size)


def listens(process, address):
    host, port = address.split(":")
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.01)
    return False


class Runner:
    """Runs all functions of all accounts and regions."""

    def __init__(self, emulator, directory, endpoint, response_hosts):
        self.emulator, self.directory, self.endpoint, self.response_hosts = emulator, directory, endpoint, response_hosts
        self.functions, self.given, self.lock = {}, set(), threading.Lock()

    def free_port(self):
        """A port of ours that was never given: functions that start at once do not get the same."""
        while True:
            with socket.create_server((ADDRESS, 0)) as held:
                port = held.getsockname()[1]
            with self.lock:
                if port not in self.given:
                    self.given.add(port)
                    return port

    def invoke(self, function, event):
        with self.lock:
            own = self.functions.setdefault(function.function_arn, Function(self))
        return own.invoke(function, event)

    def forget(self, arn):
        with self.lock:
            own = self.functions.pop(arn, None)
        if own:
            with own.one_at_a_time:
                own.stop()

    def log_of(self, function):
        directory = os.path.join(self.directory, function.account_id, function.region)
        os.makedirs(directory, exist_ok=True)
        return os.path.join(directory, function.function_name + ".log")

    def environment_of(self, function):
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        session = sts_backends[function.account_id][function.partition].assume_role(
            region_name=function.region, role_session_name=function.function_name, role_arn=function.role,
            policy=None, duration=SESSION_SECONDS, external_id=None)
        return {
            "PATH": os.environ.get("PATH", ""),
            **{name: str(value) for name, value in function.environment_vars.items()},
            "AWS_ENDPOINT_URL": self.endpoint,
            "RESPONSE_HOSTS": self.response_hosts,
            "AWS_REGION": function.region, "AWS_DEFAULT_REGION": function.region,
            "AWS_ACCESS_KEY_ID": session.access_key_id, "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
            "AWS_SESSION_TOKEN": session.session_token,
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size), "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.function_name}", "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }


def install(runner):
    def invoke(function, event=None):
        """In place of moto's, which starts a container: (body, whether it failed, log)."""
        answer, tail = runner.invoke(function, event if isinstance(event, str) else json.dumps(event or {}))
        return answer, failed(answer), tail

    LambdaFunction._invoke_lambda = invoke

    @wrapping(LambdaBackend, "delete_function")
    def delete_function(original, self, function_name, *arguments, **keywords):
        arn = self.get_function(function_name).function_arn
        original(self, function_name, *arguments, **keywords)
        runner.forget(arn)


def failed(answer):
    """Whether a function's answer is its failure."""
    try:
        return "errorType" in json.loads(answer)
    except (ValueError, TypeError):
        return False
