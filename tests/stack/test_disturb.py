"""Disturbances are undone, also when the test in them fails; what holds a port is named with its remedy."""

from typing import Any

import pytest

from harness import timeouts
from harness.cluster.protocol import Cluster
from harness.errors import NotReady
from harness.kube import Kube
from harness.stack import disturb
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock
from tests.fakes.pods import deployment, pod

LABELS = {"app": "x"}
BIND = (
    "2026-11-21T09:22:20.011442Z\tinfo\tinpod::statemanager\tretrying workload failed: failed to bind to address "
    '[::]:15008: Address already in use (os error 98)\tuid="uid-7"'
)


class Ztunnels:
    """Its log on one node."""

    def __init__(self, text: str) -> None:
        self._text = text

    def logs(self) -> dict[str, str]:
        return {"worker": self._text}


def test_away_comes_back_although_the_test_failed(kube: Kube, api: FakeApi) -> None:
    api.put(deployment("default/x", ready=2, wanted=2, labels=LABELS))

    with pytest.raises(AssertionError, match="the test"), disturb.away(kube, "Deployment/default/x"):
        raise AssertionError("the test")

    assert [seen.body["spec"]["replicas"] for seen in api.asked("PATCH", "deployments/x")] == [0, 2]


def test_pods_on_their_way_out_are_not_away(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """They still answer: a limiter that is terminating still limits."""
    leaving = pod("default/x-1", labels=LABELS)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(deployment("default/x", ready=1, labels=LABELS), leaving)

    with pytest.raises(NotReady, match="no pod left"), disturb.away(kube, "Deployment/default/x"):
        raise AssertionError("never reached")

    assert clock.slept >= timeouts.DISTURBED - 1


def test_shot_deletes_every_pod_without_grace(kube: Kube, api: FakeApi) -> None:
    api.put(deployment("default/x", ready=2, wanted=2, labels=LABELS))
    api.put(pod("default/x-1", labels=LABELS), pod("default/x-2", labels=LABELS), pod("default/y", labels={"app": "y"}))

    assert disturb.shot(kube, "Deployment/default/x") == {"x-1", "x-2"}
    assert kube.find("Pod/default/y") is not None
    assert [seen.query.get("gracePeriodSeconds") for seen in api.asked("DELETE")] == ["0", "0"]


def test_old_pod_that_is_still_there_is_no_replacement(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Planted: the pod that was shot is still told of, ready."""
    api.put(deployment("default/x", ready=1, labels=LABELS), pod("default/x-1", labels=LABELS))

    with pytest.raises(NotReady, match="1 new ready pods"):
        disturb.replaced(kube, "Deployment/default/x", {"x-1"})


def test_route_has_its_rules_back_although_an_edit_failed(kube: Kube, api: FakeApi) -> None:
    rules = [{"backendRefs": [{"name": "x", "port": 9080}]}]
    api.put(named("HTTPRoute/default/x", spec={"rules": rules}), manager="mesh-e2e")
    api.refuse("PATCH", "httproutes/x", 422, "no", times=1)

    with pytest.raises(Exception, match="no"):
        disturb.edited(kube, "x", times=3, every=0)

    assert kube.get("HTTPRoute/default/x")["spec"]["rules"] == rules


def test_each_edit_is_another(kube: Kube, api: FakeApi) -> None:
    """Edits that change nothing would prove nothing."""
    api.put(named("HTTPRoute/default/x", spec={"rules": [{"backendRefs": []}]}), manager="mesh-e2e")

    disturb.edited(kube, "x", times=3, every=0)

    assert len({str(seen.body) for seen in api.asked("PATCH", "httproutes/x")}) == 4


def test_api_server_goes_on_although_the_test_failed(programs: Any, cluster: Cluster) -> None:
    programs.have("docker")

    with pytest.raises(AssertionError), disturb.frozen(cluster):
        raise AssertionError("the test")

    assert [("-STOP" in call.argv, "-CONT" in call.argv) for call in programs.calls("docker", "pkill")] == [
        (True, False),
        (False, True),
    ]


def test_port_taken_names_port_pod_and_remedy() -> None:
    text = disturb.port_taken(Ztunnels(BIND + "\n" + BIND))  # type: ignore[arg-type]  # a stand-in

    assert text.count("cannot bind") == 1
    assert "[::]:15008" in text
    assert "uid-7" in text
    assert "delete that pod" in text


def test_no_port_taken_is_a_plain_no() -> None:
    """Planted: a log that speaks of port 15008 and of no failure."""
    told = disturb.port_taken(Ztunnels("2026-11-21T09:22:20Z\tinfo\tproxy\tlistening on [::]:15008"))  # type: ignore[arg-type]  # a stand-in

    assert told == "ztunnel has every port it wants"


class Envoy:
    """Its configuration, with a cluster active, warming, or neither."""

    gateway = "waypoint"

    def __init__(self, **lists: str) -> None:
        self._lists = lists

    def config_dump(self) -> dict[str, Any]:
        made = {name: [{"cluster": {"name": "c", "common": {"idle_timeout": s}}}] for name, s in self._lists.items()}
        return {"configs": [{"other": 1}, made]}


def test_active_cluster_lets_go() -> None:
    disturb.lets_go(Envoy(dynamic_active_clusters="1s"), "c")  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize(
    "envoy", [Envoy(dynamic_warming_clusters="1s", dynamic_active_clusters="3600s"), Envoy(), Envoy(static="1s")]
)
def test_warming_cluster_does_not_let_go_yet(envoy: Envoy, clock: Clock) -> None:
    """Planted: what Envoy was told and does not do yet, for 15 s; a cluster that is not there."""
    with pytest.raises(NotReady, match="lets go of idle connections"):
        disturb.lets_go(envoy, "c")  # type: ignore[arg-type]  # a stand-in


def test_idle_connections_of_another_cluster_do_not_count(clock: Clock) -> None:
    with pytest.raises(NotReady):
        disturb.lets_go(Envoy(dynamic_active_clusters="1s"), "another")  # type: ignore[arg-type]  # a stand-in
