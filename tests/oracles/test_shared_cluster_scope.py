"""In a cluster that others use too, what is theirs is kept apart and judges nothing; what is ours is judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.kube import Kube
from harness.objects.kind_namespace_name import parse_ref
from harness.oracles import collector
from harness.oracles.collector import OracleCollector
from harness.oracles.shared_cluster_scope import EVERYTHING, OracleScope, applied_and_installed, is_namespace_named
from tests.fakes.api import FakeApi, Object
from tests.fakes.pods import pod

OURS = applied_and_installed([parse_ref("Service/ours/ratings"), parse_ref("Gateway/ours/waypoint")], ())
GATEWAY = "gateway.envoyproxy.io/owning-gateway-name"
ZTUNNEL = ("istio-system", "ztunnel-1", "istio-proxy")
CONTROLLER = ("envoy-gateway-system", "envoy-gateway-1", "envoy-gateway")
LINE = (
    '{time}\terror\taccess\tconnection complete\tsrc.addr=10.0.0.{n}:4{src}dst.addr=10.0.0.9:80 dst.workload="to" '
    'dst.namespace="{dst}" direction="inbound" bytes_sent=0 bytes_recv=0 duration="0ms" error="io error: refused"'
)
NACK = "{time}\tERROR\txds\tcache/snapshotcache.go:388\tEnvoy rejected the last update: listener(s) {ns}/w/http: in use"


class Silent:
    """Admin ports that have nothing to say."""

    def get(self, *_: object) -> str:
        return ""


def restarting(name: str, count: int, **labels: str) -> Object:
    """A pod whose container has been started again that often."""
    last = {"terminated": {"reason": "Error", "exitCode": 3}}
    containers = [{"name": "c", "restartCount": count, "lastState": last}]
    found = pod(name, labels=labels, containerStatuses=containers)
    found["metadata"]["uid"] = name
    return found


def connection(n: int, source: str, target: str) -> str:
    """A failed connection from one namespace ("" is unknown) to another."""
    src = f' src.workload="from" src.namespace="{source}" ' if source else " "
    time = (datetime.now(UTC) + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    return LINE.format(time=time, n=n, src=src, dst=target)


@pytest.fixture
def looked(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`looked(ours, change)`: what a watch found of ours and elsewhere after a change."""
    monkeypatch.setattr(collector, "QUIET", 0.0)
    api.put(restarting("ours/app-1", 0), restarting("team-b/crash-1", 7))
    api.put(restarting("istio-system/ztunnel-1", 0, app="ztunnel"))
    api.put(restarting("envoy-gateway-system/envoy-gateway-1", 0, **{"control-plane": "envoy-gateway"}))
    api.logs |= {ZTUNNEL: "", CONTROLLER: "", ("ours", "waypoint-1", "envoy"): ""}

    def look(ours: OracleScope, *pods: Object, ztunnel: str = "", gateway: str = "") -> tuple[list[str], list[str]]:
        watch = OracleCollector(kube, Silent(), lambda: ours)  # type: ignore[arg-type]  # a stand-in
        api.put(*pods)
        api.logs |= {ZTUNNEL: ztunnel, CONTROLLER: gateway}
        found, elsewhere = watch.finish_area(), watch.take_foreign_signs()
        return [f"{sign.oracle} {sign.who}" for sign in found], [f"{sign.oracle} {sign.who}" for sign in elsewhere]

    return look


def test_crash_loop_of_others_judges_nothing(looked: Any) -> None:
    """It is listed apart; our pod's restart is judged."""
    assert looked(OURS, restarting("team-b/crash-1", 9)) == ([], ["restart team-b/crash-1 (c)"])
    assert looked(OURS, restarting("ours/app-1", 1)) == (["restart ours/app-1 (c)"], [])


def test_in_a_cluster_of_our_own_every_restart_is_judged(looked: Any) -> None:
    """There nobody else could be meant."""
    assert looked(EVERYTHING, restarting("team-b/crash-1", 9)) == (["restart team-b/crash-1 (c)"], [])


def test_proxies_of_other_gateways_in_our_namespace_are_not_ours(looked: Any) -> None:
    """A proxy is judged when the run applied its Gateway."""
    theirs, mine = (restarting(f"ours/{name}-1", 1, **{GATEWAY: name}) for name in ("theirs", "waypoint"))

    assert looked(OURS, theirs) == ([], ["restart ours/theirs-1 (c)"])
    assert looked(OURS, mine) == (["restart ours/waypoint-1 (c)"], [])


@pytest.mark.parametrize(
    ("source", "target", "judged"),
    [
        ("team-b", "team-b", False),
        ("team-b", "ours", False),
        ("ours", "ours", True),
        ("ours", "team-b", True),
        ("", "ours", True),
        ("", "team-b", False),
    ],
)
def test_failed_connection_is_of_who_opened_it(looked: Any, source: str, target: str, judged: bool) -> None:
    """One that a client of others opened is theirs, also when it was to us."""
    found = looked(OURS, ztunnel=connection(1, source, target))

    assert [len(signs) for signs in found] == [judged, not judged]
    assert found[not judged][0].startswith("ztunnel error ")


@pytest.mark.parametrize(("namespace", "judged"), [("ours", True), ("team-b", False), ("unheard-of", False)])
def test_refusal_in_a_shared_components_log_is_of_whom_it_names(looked: Any, namespace: str, judged: bool) -> None:
    """Envoy Gateway serves all: what it says of our namespace is judged."""
    found = looked(OURS, gateway=NACK.format(time="2026-11-27T12:00:00Z", ns=namespace))

    assert [len(signs) for signs in found] == [judged, not judged]


def test_line_of_a_component_that_we_installed_is_ours_unless_it_names_others() -> None:
    """It may name nobody."""
    assert OURS.is_named_in("panic: nil map", writer=True, others={"team-b"})
    assert not OURS.is_named_in("rejected httproute/team-b/web", writer=True, others={"team-b"})
    assert not OURS.is_named_in("panic: nil map", writer=False)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("listener(s) default/w/http", True),
        ("httproute/default/ratings/rule/0", True),
        ("ratings.default.svc.cluster.local", True),
        ('{"namespace": "default", "name": "x"}', True),
        ("a default value was used", False),
        ("defaults/w", False),
        ("team-default/w", False),
        ("the-default.svc", False),
        ("by default: listener team-b/w", False),
    ],
)
def test_namespace_is_named_as_components_name_it(line: str, named: bool) -> None:
    """As a part of a name, not as a word."""
    assert is_namespace_named(line, {"default"}) == named
