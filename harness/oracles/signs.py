"""Finds signs of trouble in logs and counters of components. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from harness.logs import envoy_xds_rejects
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.unstructured import Json, mapping, number, objects, text

Oracle = Literal["rejection", "port", "warming", "restart", "ztunnel error", "panic", "churn"]
ORACLES: tuple[Oracle, ...] = ("rejection", "port", "warming", "restart", "ztunnel error", "panic", "churn")

# Namespaces whose connections are not of our traffic, unless the other end is.
THEIRS = frozenset({"kube-system", "istio-system", "envoy-gateway-system", "redis-system", "local-path-storage"})

# Go's runtime, client-go's recovered ones ("Observed a panic"), Rust's threads (ztunnel).
_PANIC = re.compile(
    r"^panic: |^fatal error: |Observed a panic|^goroutine \d+ \[running\]|thread '[^']*' panicked at", re.M
)
# istiod's ADS, Envoy Gateway's xds server, ztunnel's client: each writes of a NACK in its own words.
_NACK = re.compile(r"ADS:\w+: ACK ERROR|received a NACK|\bNACK\b|xds\S*\t.*\b(?:reject|nack)", re.I)
_DIGITS = re.compile(r"\d+")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\S+\s+")


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that should not be: which oracle says so, of whom ("Envoy default/waypoint-x"), in one line.

    remedy is what to do about it, where that is known.
    """

    oracle: Oracle
    who: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.oracle}: {self.who}: {self.text}" + (f"\n    remedy: {self.remedy}" if self.remedy else "")


def rejected_by_envoy(pod: str, log: str, since: datetime) -> Iterator[Sign]:
    """What this Envoy refused after `since`, each resource once for each reason."""
    for found in dict.fromkeys(
        (r.resource, " ".join(r.text.split()))
        for r in envoy_xds_rejects.parse_rejections(log)
        if r.time is None or r.time >= since
    ):
        yield Sign("rejection", f"Envoy {pod}", f"refused {found[0] or 'an update as a whole'}: {found[1]}")


def rejected_by_counter(who: str, before: Mapping[str, float], now: Mapping[str, float]) -> Iterator[Sign]:
    """Rejection counters that grew; one that went back belongs to a new process and counts from 0."""
    for name, value in now.items():
        grown = value - before.get(name, 0.0) if value >= before.get(name, 0.0) else value
        if grown > 0:
            yield Sign("rejection", who, f"{name} grew by {grown:g}")


def control_plane_nacks(who: str, log: str) -> Iterator[Sign]:
    """Lines of a control plane (or of ztunnel) that report a NACK, each kind once: numbers in it left out."""
    kinds: dict[str, str] = {}
    for line in log.split("\n"):
        if _NACK.search(line):
            kinds.setdefault(_DIGITS.sub("#", line), _TIME.sub("", line))
    for line in kinds.values():
        yield Sign("rejection", who, " ".join(line.split())[:400])


def panics(who: str, log: str) -> Iterator[Sign]:
    """The first panic of a log, with its first line."""
    found = _PANIC.search(log)
    if found:
        line = log[found.start() :].partition("\n")[0]
        yield Sign("panic", who, line[:300])


def failed_connections(lines: Iterable[ZtunnelLine], since: datetime) -> Iterator[Sign]:
    """Connections of ours that ztunnel ended with an error after `since`: each pair, side and error once, counted."""
    counted: dict[tuple[str, str, str, str, str], int] = {}
    for line in lines:
        ours = {line.src.namespace or "", line.dst.namespace or ""} - THEIRS - {""}
        if line.is_ok or line.time < since or not ours:
            continue
        source, target = line.src.workload or line.src.ip, line.dst.workload or line.dst.service or line.dst.addr
        key = (source, target, line.dst.addr, line.direction, line.error or line.level)
        counted[key] = counted.get(key, 0) + 1
    for (source, target, address, direction, error), times in counted.items():
        yield Sign("ztunnel error", f"{source} -> {target}", f"{direction} to {address}, {times} times: {error}")


def restarts(before: Iterable[Json], now: Iterable[Json]) -> Iterator[Sign]:
    """Containers that restarted in a pod that stayed, and any that restarted in a new pod."""
    counts = {key: count for pod in before for key, (count, _) in _starts(pod).items()}
    for pod in now:
        if text(pod, "metadata", "namespace") in ("kube-system", "local-path-storage"):
            continue
        for key, (count, last) in _starts(pod).items():
            grown = count - counts.get(key, 0)
            if grown > 0:
                reason = text(last, "reason") or "unknown reason"
                who = f"{text(pod, 'metadata', 'namespace')}/{text(pod, 'metadata', 'name')} ({key[1]})"
                message = f"restarted {grown} times, last end: {reason}, exit {number(last, 'exitCode')}"
                yield Sign("restart", who, message)


def warming(pod: str, stats: Mapping[str, int]) -> Iterator[Sign]:
    """Clusters and listeners that wait for something before they serve."""
    for name in ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming"):
        if stats.get(name, 0):
            yield Sign("warming", f"Envoy {pod}", f"{name} is {stats[name]}")


def pushes(stats: Mapping[str, int]) -> int:
    """How many updates this Envoy took over xDS: endpoints left out, which follow pods."""
    wanted = re.compile(r"^(cluster_manager\.cds|listener_manager\.lds|http\..*\.rds\..*)\.update_attempt$")
    return sum(value for name, value in stats.items() if wanted.match(name))


def config_churn(first: Mapping[str, float], second: Mapping[str, float], third: Mapping[str, float]) -> Iterator[Sign]:
    """Who was sent configuration twice in two quiet looks, one after the other: once is a late push, twice is churn."""
    for who in third:
        once, again = second.get(who, 0) - first.get(who, second.get(who, 0)), third[who] - second.get(who, third[who])
        if once > 0 and again > 0:
            yield Sign("churn", who, f"{once:g} and then {again:g} more pushes while nothing was changed")


def _starts(pod: Json) -> dict[tuple[str, str], tuple[int, Json]]:
    """(uid, container) to how often it was started again, and how its last life ended."""
    uid = text(pod, "metadata", "uid")
    return {
        (uid, text(c, "name")): (number(c, "restartCount"), mapping(c, "lastState", "terminated"))
        for shape in ("initContainerStatuses", "containerStatuses")
        for c in objects(pod, "status", shape)
    }
