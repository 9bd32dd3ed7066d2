"""Lists what this machine lacks for a run before anything is created, each finding with its remedy.

What a run refuses is checked by the cluster's own `requirements`. A run goes through them too, so the two agree.
Beside them stand warnings: what may still work, but slowly or not at all.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil

from harness import chosen_versions, container_engine_checks, kernel_modules, no_proxy, timeouts
from harness.cluster.choose import choose_cluster
from harness.container_engine_checks import Engine
from harness.errors import BadInput, HarnessError
from harness.objects.address_with_port import host_port
from harness.settings import Settings, is_docker_remote
from harness.version_sets import VersionSet

Grade = Literal["ok", "warning", "missing"]

CORES, MEMORY_GB, DISK_GB = 2, 6, 15
INOTIFY = {"max_user_watches": 524288, "max_user_instances": 512}  # kind's known issues: "too many open files"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: what was looked at, how it stands, what was seen, and what to do about it."""

    what: str
    grade: Grade
    seen: str
    remedy: str = ""


def run_checks(settings: Settings, versions: VersionSet) -> list[CheckResult]:
    """What a run with these settings refuses, in its words, and what may trouble it; none raises."""
    found = [check_cores(), check_memory(), check_disk(settings), *check_proxies()]
    if settings.bundle:
        found.append(run_check("bundle", lambda: _bundle(settings, versions)))
    try:
        cluster = choose_cluster(settings, versions)
    except HarnessError as error:
        return [*found, _missing(f"CLUSTER={settings.cluster}", error)]
    needed: list[CheckResult] = []
    for one in cluster.requirements:
        if not one.last or all(before.grade == "ok" for before in needed):
            needed.append(run_check(one.what, one.check))
    found += needed
    if settings.cluster == "kind":
        found += [check_inotify(name) for name in INOTIFY]
        if not any(one.what == "docker" and one.grade == "missing" for one in needed):
            image = settings.node_image or versions.node
            found += [*_engine(), run_check("node image", lambda: container_engine_checks.check_node_image(image))]
    return found


def run_check(what: str, check: Callable[[], str]) -> CheckResult:
    """What a check of a run says: "ok", or its refusal."""
    try:
        return CheckResult(what, "ok", check())
    except HarnessError as error:
        return _missing(what, error)


def results_as_lines(findings: list[CheckResult]) -> list[str]:
    """The findings as text, each remedy on a line of its own and whole, however narrow the terminal."""
    width = max((len(one.what) for one in findings), default=0)
    text = []
    for one in findings:
        text.append(f"{one.grade:8} {one.what:{width}}  {one.seen}")
        text += [f"{'':8} {'':{width}}  remedy: {one.remedy}"] if one.remedy else []
    return text


def check_cores() -> CheckResult:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fine = count >= CORES
    return CheckResult(
        "cores", "ok" if fine else "warning", f"{count}", "" if fine else f"waits may run out below {CORES}"
    )


def check_memory() -> CheckResult:
    free = psutil.virtual_memory().available / 2**30
    fine = free >= MEMORY_GB
    return CheckResult(
        "memory", "ok" if fine else "warning", f"{free:.1f} GB free", "" if fine else f"free {MEMORY_GB} GB"
    )


def check_disk(settings: Settings) -> CheckResult:
    free = shutil.disk_usage(settings.runs.parent if settings.runs.parent.exists() else Path()).free / 2**30
    need = 1 if settings.cluster == "emulated" else DISK_GB
    fine = free >= need
    return CheckResult("disk", "ok" if fine else "warning", f"{free:.1f} GB free", "" if fine else f"free {need} GB")


def check_proxies() -> list[CheckResult]:
    """A finding for each HTTP proxy of the environment: whether it accepts connections, and whether the nodes of a kind
    cluster, which pull through it, can reach it."""
    return [_proxy(url, names) for url, names in no_proxy.configured_proxies().items()]


def _proxy(url: str, names: Sequence[str]) -> CheckResult:
    what = f"proxy {', '.join(names)}"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        host, port = None, 0
    if not host:
        return CheckResult(what, "warning", "not a URL", "set it to http://host:port, or unset it")
    where = host_port(host, port)
    try:
        socket.create_connection((host, port), timeout=timeouts.HTTP_CONNECT).close()
    except OSError as error:
        why = f"{where} accepts no connections: {error.strerror or error}"
        return CheckResult(what, "warning", why, f"is it up? Else unset {names[0]}: pulls and downloads go through it")
    if no_proxy.is_loopback(host):
        seen = f"{where} is this machine's loopback, which kind's nodes cannot reach"
        return CheckResult(what, "warning", seen, "give it an address that containers reach, or use BUNDLE=")
    return CheckResult(what, "ok", f"{where}, for pulls and downloads; loopback and cluster addresses never use it")


def check_inotify(name: str) -> CheckResult:
    file = Path("/proc/sys/fs/inotify") / name
    if not file.exists():
        return CheckResult(f"inotify {name}", "ok", "not of this system")
    value, need = int(file.read_text()), INOTIFY[name]
    remedy = "" if value >= need else f"sudo sysctl fs.inotify.{name}={need}"
    return CheckResult(f"inotify {name}", "warning" if remedy else "ok", str(value), remedy)


def _engine() -> list[CheckResult]:
    seen = container_engine_checks.read_engine()
    if seen is None:
        return [CheckResult("docker memory", "warning", "`docker info` does not report it", "is Docker well?")]
    size = seen.memory / 2**30
    fine = size >= MEMORY_GB
    remedy = "" if fine else f"give Docker {MEMORY_GB} GB"
    return [CheckResult("docker memory", "ok" if fine else "warning", f"{size:.1f} GB", remedy), _save(seen), _kernel()]


def _save(seen: Engine) -> CheckResult:
    """Only `make bundle` saves images: for a run it is no more than a warning."""
    try:
        return CheckResult("docker save", "ok", container_engine_checks.check_save(seen))
    except BadInput as error:
        return CheckResult("docker save", "warning", _sentence(error), error.remedy)


def _kernel() -> CheckResult:
    """istio-cni sets rules in each pod's network; where the kernel cannot, no pod of the mesh starts."""
    elsewhere = sys.platform != "linux" or is_docker_remote()
    missing = None if elsewhere else kernel_modules.missing_modules()
    if missing is None:
        return CheckResult("kernel modules", "ok", "this machine does not show which there are")
    if missing:
        remedy = "a kernel that has them (on WSL 2: `wsl --update`); pods of the mesh may not start"
        return CheckResult("kernel modules", "warning", f"istio-cni needs {', '.join(missing)}", remedy)
    return CheckResult("kernel modules", "ok", "those that istio-cni needs are there")


def _bundle(settings: Settings, versions: VersionSet) -> str:
    held = chosen_versions.find_bundle(versions, settings)
    assert held is not None  # asked for only when there is one
    return f"{len(held.index.images)} images, {len(held.index.charts)} charts"


def _missing(what: str, error: HarnessError) -> CheckResult:
    return CheckResult(what, "missing", _sentence(error), error.remedy)


def _sentence(error: HarnessError) -> str:
    """The error without its remedy, on one line."""
    return " ".join(str(error).partition("\n  remedy: ")[0].split())
