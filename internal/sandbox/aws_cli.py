"""The AWS CLI, loaded once for many commands. Nearly all that a command costs is Python's
imports and the services' models: here each begins where they are loaded.

`aws_cli.py DIRECTORY` puts a program `aws` into the directory (aws_client.py) and prints `ready`.
Each command that it sends becomes a process of its own, with the command's arguments, environment,
working directory and three open files, in which awscli's own main runs. Umask, time zone and
character set stay this process's. It ends when its standard input does.
"""

import functools
import gc
import os
import select
import signal
import socket
import sys
import threading
import traceback

# awscli appends to it while it is imported.
os.environ.pop("AWS_DATA_PATH", None)
import awscli.clidriver
import botocore.session

DATA_PATH = os.environ["AWS_DATA_PATH"]
SERVICES = ["cloudformation", "iam", "kms", "lambda", "organizations", "s3", "secretsmanager", "ssm", "sts"]


def load():
    """Import what commands import late, then read the models. No command runs on what is read here
    before the fork, and none can change it for another one."""
    driver = awscli.clidriver.create_clidriver()
    driver._create_parser(driver._get_command_table())
    driver.session.create_client("s3", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-")
    # From here on all sessions of one data path have one loader, which keeps what it has read.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    loader = awscli.clidriver.create_clidriver().session.get_component("data_loader")
    for name in ["cli", "endpoints", "partitions", "_retry", "sdk-default-configuration"]:
        loader.load_data(name)
    for kind in ["service-2", "paginators-1", "waiters-2", "endpoint-rule-set-1"]:
        for service in set(SERVICES).intersection(loader.list_available_services(kind)):
            loader.load_service_model(service, kind)
    gc.freeze()  # a command's garbage collector leaves all of it alone, and its pages shared


def install(directory):
    """Put the program into the directory, next to the socket that it speaks to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(directory, "socket"))
    listener.listen(128)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "aws_client.py")) as client:
        text = f"#!{sys.executable} -IS\n{client.read()}"
    path = os.path.join(directory, "aws")
    with open(path, "w") as program:
        program.write(text)
    os.chmod(path, 0o755)
    return listener


def receive(connection):
    """Become the command that the client sends: see aws_client.py."""
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        sent = stream.read(int.from_bytes(size, "big"))
    directory, count, *rest = sent.split(b"\0")
    arguments, environment = rest[: int(count)], rest[int(count) :]
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    for variable in environment:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    os.environ["AWS_DATA_PATH"] = os.pathsep.join(filter(None, [os.environ.get("AWS_DATA_PATH"), DATA_PATH]))
    sys.argv = [os.fsdecode(argument) for argument in arguments]


def end_with(connection):
    """The client sends nothing more: what comes is its end."""
    connection.recv(1)
    os._exit(1)


def run(connection):
    """Run one command, and send its exit status, as Python would end with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    receive(connection)
    threading.Thread(target=end_with, args=[connection], daemon=True).start()
    try:
        status = awscli.clidriver.main()
    except SystemExit as end:
        status = end.code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = 120
    sys.stderr.flush()
    connection.send(bytes([(status or 0) & 0xFF]))


def main():
    load()
    listener = install(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the commands' processes
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([sys.stdin, listener], [], [])
        if sys.stdin in ready:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            try:
                listener.close()
                run(connection)
            except BaseException:
                traceback.print_exc()
            os._exit(1)  # whatever happens, not back into the loop
        connection.close()


if __name__ == "__main__":
    main()
