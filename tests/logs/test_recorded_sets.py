"""What clusters of each version set wrote (`make record`): every reader reads all of it, whatever the versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import version_differences
from harness.logs import envoy_access, ztunnel
from harness.objects.conditions import conditions
from harness.proxy import prometheus, stats
from tests import recordings

FILES = ("access.jsonl", "ztunnel.log", "statuses.yaml", "provenance.yaml")
SETS = sorted(file.parent for file in recordings.HERE.glob("*/provenance.yaml"))
each_set = pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)


def provenance(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((folder / "provenance.yaml").read_text(), yaml.CSafeLoader)
    return found


@each_set
def test_recording_is_whole_and_of_a_real_cluster(folder: Path) -> None:
    """Its folder is named after the versions that ran, and each component's version is known."""
    value = provenance(folder)
    istio, gateway = (value["versions"][one].rpartition(".")[0] for one in ("istio", "envoy-gateway"))

    assert folder.name == f"istio-{istio}-eg-{gateway}"
    assert value["cluster"] in ("kind", "existing")
    assert "unknown" not in value["versions"].values()
    assert [name for name in FILES if not (folder / name).is_file()] == []


@each_set
def test_every_log_line_is_read(folder: Path) -> None:
    """Of both proxies; among them are a served and a rate limited request, and both ends of HBONE."""
    access = envoy_access.parse_access_log((folder / "access.jsonl").read_text())
    mesh = ztunnel.parse_ztunnel_log((folder / "ztunnel.log").read_text())

    assert (access.unreadable.count, mesh.unreadable.count, mesh.skipped) == (0, 0, 0)
    assert {(200, "-"), (429, "RL")} <= {(line.status, line.flags) for line in access.lines}
    assert {"via_upstream", "request_rate_limited"} <= {line.details for line in access.lines}
    assert all(line.route_name and line.user_agent and line.request_id for line in access.lines if line.status == 200)
    hbone = [line for line in mesh.lines if line.is_hbone and line.is_ok]
    assert {line.direction for line in hbone} == {"inbound", "outbound"}
    assert all(line.src.identity and line.dst.identity and line.duration_ms is not None for line in hbone)


@each_set
def test_every_condition_is_read(folder: Path) -> None:
    """Whatever holds them: objects, parents, ancestors, listeners. Services say to which waypoint they are bound."""
    found = list(yaml.load_all((folder / "statuses.yaml").read_text(), yaml.CSafeLoader))
    read = {(obj["kind"], condition.type) for obj in found for condition in conditions(obj)}
    bound = [c for obj in found for c in conditions(obj) if c.type == "istio.io/WaypointBound" and c.status == "True"]

    assert sum(len(conditions(obj)) for obj in found) == str(found).count("'lastTransitionTime'")
    assert {(kind, "Accepted") for kind in ("Gateway", "HTTPRoute", "BackendTrafficPolicy")} <= read
    assert bound
    assert all("attached to waypoint " in condition.message for condition in bound)


@each_set
def test_every_counter_is_read(folder: Path) -> None:
    """A cluster that is there without a counter of requests is of a version that counts from the first request on."""
    gateway = provenance(folder)["versions"]["envoy-gateway"]
    numbers = stats.parse_stats((folder / "bookinfo-ingress-stats.txt").read_text())
    there = {name.removesuffix(".membership_total") for name in numbers if name.endswith(".membership_total")}
    counted = {name.removesuffix(".upstream_rq_total") for name in numbers if name.endswith(".upstream_rq_total")}
    limiter = prometheus.parse_samples((folder / "limiter-metrics.prom").read_text())

    assert counted
    assert counted <= there
    if version_differences.value("unused_cluster_counters", gateway) == "present":
        assert counted == there
    assert any(one.name.startswith("ratelimit_service_rate_limit_over_limit") for one in limiter)


def test_some_sets_are_recorded() -> None:
    """An empty list of recordings would prove nothing."""
    assert {"istio-1.29-eg-1.7", "istio-1.30-eg-1.8"} <= {folder.name for folder in SETS}
