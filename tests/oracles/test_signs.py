"""Each oracle sees what it is for, in recorded text where there is some, and is silent about what is well."""

from datetime import UTC, datetime

import pytest

from harness.logs import ztunnel
from harness.oracles import signs
from tests.recordings import text

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def pod(uid: str, restarts: int, reason: str = "", namespace: str = "default") -> dict:
    """A pod with one container."""
    last = {"terminated": {"reason": reason, "exitCode": 137}} if reason else {}
    status = {"containerStatuses": [{"name": "c", "restartCount": restarts, "lastState": last}]}
    return {"metadata": {"name": "p", "namespace": namespace, "uid": uid}, "status": status}


def test_recorded_rejection_is_a_sign() -> None:
    """Envoy's refusal of the TCP listener, once though it is logged often."""
    found = list(signs.rejected_by_envoy("default/waypoint-1", text("port-15008-clash/waypoint-envoy.log"), LONG_AGO))

    assert len(found) == 1
    assert "fake-hbone" in found[0].text
    assert "cannot bind '0.0.0.0:15008'" in found[0].text


def test_old_rejection_is_none() -> None:
    """What was refused before the area began is of another."""
    assert not list(signs.rejected_by_envoy("w", text("port-15008-clash/waypoint-envoy.log"), LATER))


@pytest.mark.parametrize(
    ("before", "now", "signed"),
    [
        ({}, {"x": 1.0}, 1),
        ({"x": 1.0}, {"x": 1.0}, 0),
        ({"x": 5.0}, {"x": 2.0}, 1),
        ({"x": 5.0}, {"x": 0.0}, 0),
        ({}, {}, 0),
    ],
)
def test_counter_that_grew_is_a_sign(before: dict[str, float], now: dict[str, float], signed: int) -> None:
    """One that went back is of a process that began again."""
    assert len(list(signs.rejected_by_counter("istiod", before, now))) == signed


def test_nack_of_envoy_gateways_log_is_a_sign_once() -> None:
    """Seen on the real cluster; its time differs each time, its kind does not."""
    line = (
        "2026-11-21T09:21:{s}.109Z\tERROR\txds\tcache/snapshotcache.go:388\tEnvoy rejected the last update with code "
        "13 and message Error adding/updating listener(s) default/w/fake-hbone: cannot bind '0.0.0.0:15008': in use"
    )
    log = "\n".join([line.format(s=20), line.format(s=21), "2026-11-21T09:21:22Z\tINFO\tprovider\treconciled"])

    assert len(list(signs.control_plane_nacks("Envoy Gateway", log))) == 1
    assert not list(signs.control_plane_nacks("istiod", text("logs/ztunnel.log")))


@pytest.mark.parametrize(
    "line",
    [
        "panic: runtime error: invalid memory address or nil pointer dereference",
        'E1121 09:00:00 runtime.go:77] Observed a panic: "x"',
        "goroutine 1 [running]:",
        "thread 'main' panicked at src/main.rs:1:1:",
    ],
)
def test_panic_is_a_sign(line: str) -> None:
    """Go's own, client-go's recovered one, Rust's."""
    assert [s.oracle for s in signs.panics("x", f"well\n{line}\nmore")] == ["panic"]
    assert not list(signs.panics("x", "no panic: here it is in the middle of a line\n"))


def test_recorded_failed_connections_are_signs() -> None:
    """Of the recorded clash: reviews to the waypoint, counted, not one by one."""
    lines = ztunnel.parse_ztunnel_log(text("eg-1.9.0/ztunnel-port-15008-clash.log")).lines
    failed = [line for line in lines if not line.is_ok]

    found = list(signs.failed_connections(lines, LONG_AGO))

    assert failed
    assert 0 < len(found) <= len(failed)
    assert not list(signs.failed_connections(lines, LATER))
    assert not list(signs.failed_connections([line for line in lines if line.is_ok], LONG_AGO))


def test_restart_is_a_sign() -> None:
    """In a pod that stayed as in one that came; an OOM by its name; the node's own components are not ours."""
    assert "OOMKilled, exit 137" in next(iter(signs.restarts([pod("a", 0)], [pod("a", 1, "OOMKilled")]))).text
    assert len(list(signs.restarts([], [pod("b", 2, "Error")]))) == 1
    assert not list(signs.restarts([pod("a", 1)], [pod("a", 1)]))
    assert not list(signs.restarts([pod("a", 0)], [pod("b", 0)]))
    assert not list(signs.restarts([], [pod("a", 3, namespace="kube-system")]))


def test_warming_is_a_sign() -> None:
    """Of clusters as of listeners."""
    assert len(list(signs.warming("e", {"cluster_manager.warming_clusters": 1}))) == 1
    assert not list(signs.warming("e", {"cluster_manager.warming_clusters": 0}))


def test_churn_is_twice_in_a_row() -> None:
    """One late push is none; who is new has no past."""
    assert len(list(signs.config_churn({"e": 1}, {"e": 2}, {"e": 3}))) == 1
    assert not list(signs.config_churn({"e": 1}, {"e": 2}, {"e": 2}))
    assert not list(signs.config_churn({"e": 1}, {"e": 1}, {"e": 2}))
    assert not list(signs.config_churn({}, {"e": 5}, {"e": 6}))
    assert not list(signs.config_churn({"e": 1}, {}, {"e": 6}))


def test_pushes_are_of_configuration_not_endpoints() -> None:
    """Endpoints follow pods; listeners, clusters and routes follow configuration."""
    stats = {
        "cluster_manager.cds.update_attempt": 3,
        "listener_manager.lds.update_attempt": 4,
        "http.http-9080.rds.default/w/r.update_attempt": 5,
        "cluster.httproute/x/rule/0.update_attempt": 100,
    }

    assert signs.pushes(stats) == 12
