"""Ask the container engine that SAM uses, by SAM's own client, and say what is wrong in one sentence.

look: what it is, and whether it has the image; pull IMAGE ARCH; reach IMAGE DIRECTORY
ADDRESS: run the program `reach` in the directory, in a container like the function's.
"""

import json
import signal
import sys

import docker
from samcli.commands.exceptions import UserException
from samcli.local.docker.lambda_image import RAPID_IMAGE_TAG_PREFIX, LambdaImage, Runtime
from samcli.local.docker.utils import get_docker_platform, get_validated_container_client

RUNTIME = "provided.al2023"  # the template's
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def look(client):
    info, version = client.info(), client.version()
    arch = ARCHITECTURES.get(info.get("Architecture"))
    if not arch:
        raise SystemExit(f"Lambda has no architecture {info.get('Architecture')}, which is the engine's")
    base = f"{LambdaImage._INVOKE_REPO_PREFIX}/{Runtime.get_image_name_tag(RUNTIME, arch)}"
    made = f"{base.split(':')[0]}:{RUNTIME.split('.')[1]}-{RAPID_IMAGE_TAG_PREFIX}-{arch}"
    here = [image for image in (base, made) if has(client, image)]
    print(json.dumps({
        "name": client.get_runtime_type().capitalize(), "version": version.get("Version", ""), "arch": arch,
        "base": base, "present": here[0] if here else "", "whole": base in here,
    }))


def has(client, image):
    try:
        return bool(client.images.get(image))
    except docker.errors.ImageNotFound:
        return False


def pull(client, image, arch):
    name, tag = image.split(":")
    for step in client.api.pull(name, tag=tag, platform=get_docker_platform(arch), stream=True, decode=True):
        if "error" in step:
            raise SystemExit(step["error"])
        if "progressDetail" not in step or not step["progressDetail"]:
            print(" ", step.get("id", ""), step.get("status", ""), flush=True)


def reach(client, image, directory, address):
    container = client.containers.run(
        image, entrypoint="/reach/reach", command=[address], detach=True,
        volumes={directory: {"bind": "/reach", "mode": "ro"}}, extra_hosts={"host.docker.internal": "host-gateway"},
    )
    try:
        if container.wait()["StatusCode"]:
            raise SystemExit(container.logs(stdout=False).decode().strip())
    finally:
        container.remove(force=True)


def late(*_):
    raise SystemExit("it does not answer. Is it still starting?")


def main():
    question, *about = sys.argv[1:]
    if question != "pull":
        # From here on: starting Python and SAM takes longer than the engine's answer.
        signal.signal(signal.SIGALRM, late)
        signal.alarm(20)
    try:
        {"look": look, "pull": pull, "reach": reach}[question](get_validated_container_client(), *about)
    except docker.errors.APIError as failed:
        raise SystemExit(failed.explanation or str(failed)) from None
    except (UserException, docker.errors.DockerException, OSError) as failed:
        raise SystemExit(getattr(failed, "message", None) or str(failed)) from None


if __name__ == "__main__":
    main()
