"""The test binary of the Gateway API conformance suite: given by path, or built by Go."""

from __future__ import annotations

import platform
from pathlib import Path

from harness import progress, timeouts
from harness.command import run, which
from harness.errors import BadInput
from harness.settings import Settings
from harness.version_sets import Conformance

ELF = b"\x7fELF"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
API = "sigs.k8s.io/gateway-api"
# From 1.5 on the suite is a module of its own, which asks for version 0.0.0 of the API and replaces that by `../`.
_MODULE = f"module mesh-e2e.local/conformance\n\ngo 1.24\n\nreplace {API} => {API} {{version}}\n"


def check(settings: Settings) -> str:
    """What the binary will come from, without making it.

    Raises:
        BadInput: the given file is not a Linux program, or there is neither one nor Go.
    """
    given = settings.conformance_binary
    if given is None:
        try:
            return f"built by {which('go')}"
        except BadInput:
            raise BadInput(
                "the conformance suite is built from its Go module, and `go` is not on PATH",
                remedy="install Go (https://go.dev/dl), or give its binary: CONFORMANCE_BINARY=file",
            ) from None
    try:
        with given.open("rb") as file:
            head = file.read(len(ELF))
    except OSError as error:
        raise BadInput(
            f"CONFORMANCE_BINARY={given} cannot be read: {error.strerror}", remedy="docs/conformance.md"
        ) from None
    if head != ELF:
        raise BadInput(
            f"CONFORMANCE_BINARY={given} is not a program for Linux, which the nodes run",
            remedy="CGO_ENABLED=0 GOOS=linux go test -c (docs/conformance.md)",
        )
    return f"given: {given}"


def prepare(settings: Settings, suite: Conformance) -> Path:
    """The binary's path. A built one stays in the folder of tools, by package, version and platform.

    Raises:
        BadInput: as `check`.
        CommandFailed: Go could not fetch or build it; its message is quoted.
    """
    check(settings)
    if settings.conformance_binary is not None:
        return settings.conformance_binary
    machine = platform.machine()
    target = {"GOOS": "linux", "GOARCH": MACHINES.get(machine, machine)}
    package, _, version = suite.package.partition("@")
    home = settings.tools / "conformance"
    made = home / f"gateway-api-{version}-{target['GOARCH']}.test"
    if made.exists():
        return made
    home.mkdir(parents=True, exist_ok=True)
    module = home / version
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text(_MODULE.format(version=version))
    env = target | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    partial = made.with_suffix(".partial")
    with progress.stage(f"conformance suite {suite.package}: go test -c"):
        run(["go", "-C", str(module), "get", suite.package], env=env, within=timeouts.CONFORMANCE_BUILD)
        argv = ["go", "-C", str(module), "test", "-c", "-ldflags", "-s -w", "-o", str(partial.resolve()), package]
        run(argv, env=env, within=timeouts.CONFORMANCE_BUILD)
    partial.rename(made)
    return made
