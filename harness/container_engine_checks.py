"""Checks of the container engine: whether it answers, whether it is Docker, and what kind can use."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import Any

from harness import progress, timeouts
from harness.command import Output, run, which
from harness.errors import BadInput, CommandFailed
from harness.settings import KIND_PROVIDER as PROVIDER
from harness.settings import kind_provider

OTHERWISE = "or use CLUSTER=emulated, which needs none"
CONTAINERD_STORE = "io.containerd.snapshotter.v1"
SAVES_ONE_PLATFORM = 28  # the Docker release since which `docker save` has --platform


@dataclass(frozen=True, slots=True)
class Engine:
    """What the Docker engine says of itself. `memory` is in bytes; `containerd_store`: its images are containerd's."""

    version: str
    memory: int
    containerd_store: bool


def check_engine() -> str:
    """Sees that Docker answers, to this user, and is Docker.

    Raises:
        BadInput: it does not, or Podman stands in its place; one sentence with the remedy.
    """
    _refuse_other_providers()
    try:
        which("docker")
    except BadInput as error:
        if shutil.which("podman"):
            raise _no_podman("docker is not on PATH, podman is") from None
        raise error
    if "podman" in _ask("--version").stdout.lower():
        raise _no_podman("docker on PATH is podman's")
    answered = _ask("version", "--format", "{{json .Server}}")
    if answered.code != 0:
        raise _no_answer(answered.stderr.strip() or answered.stdout.strip())
    server = _parsed(answered.stdout)
    parts = [part.get("Name", "") for part in server.get("Components") or [] if isinstance(part, dict)]
    if any("podman" in str(name).lower() for name in parts):
        raise _no_podman("the engine behind docker (DOCKER_HOST, context) is Podman")
    return f"Docker {server.get('Version') or '(version unknown)'}"


def read_engine() -> Engine | None:
    """The engine's own words; None when it does not answer in time, or nonsense."""
    try:
        engine = _ask("info", "--format", "{{json .}}")
    except BadInput:
        return None
    found = _parsed(engine.stdout)
    if engine.code != 0 or not isinstance(found.get("MemTotal"), int):
        return None
    driver = json.dumps(found.get("DriverStatus") or [])
    return Engine(str(found.get("ServerVersion", "")), found["MemTotal"], CONTAINERD_STORE in driver)


def check_save(seen: Engine | None) -> str:
    """Sees that this engine saves images that `kind load` can take.

    With the containerd image store `docker save` writes an index of all platforms and the layers of one; containerd in
    a node then refuses the archive ("content digest … not found", kubernetes-sigs/kind#3795). Docker 28 has --platform.

    Raises:
        BadInput: it has that store and no --platform.
    """
    if seen is None or not seen.containerd_store:
        return "one platform an image"
    major = seen.version.partition(".")[0]
    if major.isdigit() and int(major) < SAVES_ONE_PLATFORM:
        raise BadInput(
            f"Docker {seen.version} with the containerd image store saves images that `kind load` rejects "
            "(kubernetes-sigs/kind#3795)",
            remedy=f"Docker {SAVES_ONE_PLATFORM} or newer, or turn its containerd image store off",
        )
    return "with --platform, for the containerd image store"


def has_image(image: str) -> bool:
    """Whether Docker holds an image already."""
    return run(["docker", "image", "inspect", "--format", "{{.Id}}", image], check=False).code == 0


def check_node_image(image: str) -> str:
    """Sees that Docker has the node image or can pull it, without pulling it.

    Raises:
        BadInput: neither, in the words of a run that could not pull it.
    """
    if has_image(image):
        return f"{image} is here"
    manifest = _ask("manifest", "inspect", image)  # asks the registry as this user
    if manifest.code != 0:
        raise no_image_error(image, manifest.stderr)
    return f"{image} will be pulled"


def pull_missing(image: str) -> None:
    """Pulls a node image that Docker lacks: kind would do it too, but fails late and badly without a network.

    Raises:
        BadInput: it cannot be had.
    """
    if has_image(image):
        return
    progress.note(f"node image {image} is not in Docker yet: pulling it")
    pulled = run(["docker", "pull", "--quiet", image], within=timeouts.CLUSTER_CREATE, check=False)
    if pulled.code != 0:
        raise no_image_error(image, pulled.stderr)


def no_image_error(image: str, message: str) -> BadInput:
    """The refusal when a node image is neither in Docker nor to be pulled; `message` is Docker's own message."""
    return BadInput(
        f"node image {image} is neither in Docker nor to be pulled: {message.strip()[-200:]}",
        remedy="load it (docker load -i …), name another (NODE_IMAGE=…), or use CLUSTER=emulated",
    )


def _refuse_other_providers() -> None:
    provider = kind_provider()
    if provider == "podman":
        raise _no_podman(f"{PROVIDER}=podman")
    if provider not in ("", "docker"):
        raise BadInput(f"{PROVIDER}={provider}: kind runs on Docker only", remedy=f"unset {PROVIDER}, {OTHERWISE}")


def _no_podman(seen: str) -> BadInput:
    return BadInput(
        f"Podman is not supported: {seen}",
        remedy=f"install Docker, start it and unset {PROVIDER} and DOCKER_HOST, {OTHERWISE}",
    )


def _no_answer(message: str) -> BadInput:
    line = " ".join(message.split())[-300:] or "no word"
    if "permission denied" in message.lower():
        return BadInput(
            f"Docker rejects this user: {line}",
            remedy="`sudo usermod -aG docker $USER` and log in again, or rootless Docker "
            f"(https://docs.docker.com/engine/security/rootless/), {OTHERWISE}",
        )
    return BadInput(
        f"Docker does not answer: {line}", remedy=f"start Docker (DOCKER_HOST, docker context), {OTHERWISE}"
    )


def _ask(*words: str) -> Output:
    try:
        return run(["docker", *words], check=False)
    except CommandFailed as error:
        raise BadInput(f"Docker does not answer: {error}", remedy=f"restart Docker, {OTHERWISE}") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
