"""What a recording keeps: a line of each kind, whole; conditions without specs; the counters that readers look for."""

from __future__ import annotations

from harness.recordings import kept_lines
from tests.recordings import text


def test_one_access_line_of_each_kind() -> None:
    """Lines that differ in time, id and address alone are one kind; an unreadable one is kept."""
    log = text("logs/ingress-envoy.log") + text("logs/access-503.json")
    seen: dict[str, str] = {}

    kept_lines.one_of_each(kept_lines.access_lines(log), seen)
    kept_lines.one_of_each(kept_lines.access_lines(log + '{"start_time": 3}\n'), seen)

    assert {"unreadable"} < seen.keys()
    assert {kind.split()[0] for kind in seen} == {"200", "429", "503", "unreadable"}
    assert all(line in log for kind, line in seen.items() if kind != "unreadable")
    assert len(seen) < len(log.splitlines())


def test_one_ztunnel_line_of_each_kind() -> None:
    """Both directions, with and without HBONE, errors apart, and ports that could not be bound."""
    log = text("logs/ztunnel.log") + text("eg-1.9.0/ztunnel-port-15008-clash.log")
    seen: dict[str, str] = {}

    kept_lines.one_of_each(kept_lines.ztunnel_lines(log), seen)

    assert {kind.split()[2] for kind in seen if kind.startswith("connection")} >= {"inbound", "outbound"}
    assert "bind [::]:15008" in seen
    assert all(line in log for line in seen.values())


def test_status_without_its_spec() -> None:
    """And nothing of an object that has no condition."""
    obj = {
        "apiVersion": "v1",
        "kind": "Gateway",
        "metadata": {"name": "g", "namespace": "default", "generation": 2, "uid": "u", "labels": {"app": "x"}},
        "spec": {"listeners": []},
        "status": {"conditions": [{"type": "Accepted"}]},
    }

    assert kept_lines.status(obj) == {
        "apiVersion": "v1",
        "kind": "Gateway",
        "metadata": {"name": "g", "namespace": "default", "generation": 2},
        "status": {"conditions": [{"type": "Accepted"}]},
    }
    assert kept_lines.status(obj | {"status": {"loadBalancer": {}}}) is None


def test_counters_that_readers_look_for() -> None:
    """Lines as they are; the rest of the page is left out."""
    page = text("admin/waypoint-stats.txt")

    kept = kept_lines.counters(page, kept_lines.ENVOY_COUNTERS)

    assert "cluster.httproute/default/ratings/rule/0.upstream_rq_total: " in kept
    assert "cluster.httproute/default/ratings/rule/0.membership_total: " in kept
    assert set(kept.splitlines()) < set(page.splitlines())
    assert kept_lines.counters(text("admin/ratelimit-metrics.prom"), kept_lines.METRICS["limiter"])
