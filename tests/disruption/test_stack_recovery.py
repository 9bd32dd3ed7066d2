"""Whole again: every part ready, a call through the waypoint; only a port that is taken is helped."""

from typing import Any

import pytest

from harness.disruption import restarts, stack_recovery
from harness.errors import NotReady
from harness.http_exchange import Answer, Answers
from harness.kube import Kube
from harness.wait import set_patience
from tests.fakes.api import FakeApi, Object, named
from tests.fakes.clock import Clock
from tests.fakes.pods import deployment, pod

URL = "http://ratings:9080/ratings/0"
TAKEN = (
    "2026-11-21T09:22:20.011442Z\tinfo\tinpod::statemanager\tretrying workload failed: failed to bind to address "
    '[::]:15008: Address already in use (os error 98)\tuid="uid-7"'
)


class Ztunnels:
    """Its log of one node."""

    def __init__(self, log: str = "") -> None:
        self._log = log

    def read_logs(self) -> dict[str, str]:
        return {"worker": self._log}

    def describe_port_conflict(self) -> str:
        return self._log and "ztunnel cannot bind [::]:15008"


class Client:
    """Every call is answered 200."""

    def send_in_turn(self, request: Any) -> Answers:
        return Answers((Answer("rq", 200, {}, 1),))


class Waypoint:
    """Its log has every call."""

    gateway = "waypoint"

    def has_no_line_of(self, answers: Answers, since: Any) -> bool:
        return False


def daemon(ready: int) -> Object:
    """ztunnel on one node."""
    counts = {"desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1}
    status = {"observedGeneration": 1, **counts, "numberReady": ready, "numberAvailable": ready}
    spec = {"selector": {"matchLabels": {"app": "ztunnel"}}}
    return named(restarts.ZTUNNEL, metadata={"generation": 1}, spec=spec, status=status)


@pytest.fixture
def stack(api: FakeApi, clock: Clock) -> None:
    """Everything ready but ztunnel; the waypoint's pod is the one whose port may be taken."""
    set_patience(0.02)
    owner = {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}
    proxy = pod("default/waypoint-1", labels=owner)
    proxy["metadata"]["uid"] = "uid-7"
    parts = [name.partition("/")[2] for name in stack_recovery.PARTS if name.startswith("Deployment/")]
    api.put(proxy, *(deployment(name, ready=1) for name in parts))


def whole(kube: Kube, ztunnels: Ztunnels) -> None:
    stack_recovery.repair_stack(kube, Client(), ztunnels, Waypoint(), URL)  # type: ignore[arg-type]  # stand-ins


def test_what_is_whole_is_left_alone(kube: Kube, api: FakeApi, stack: None) -> None:
    """Nothing is deleted, whatever an old line of ztunnel's log says."""
    api.put(daemon(1))

    whole(kube, Ztunnels(TAKEN))

    assert api.asked("DELETE") == []


def test_pod_that_holds_ztunnels_port_is_deleted(
    kube: Kube, api: FakeApi, stack: None, notes: list[tuple[str, str]]
) -> None:
    """Nothing else heals it; once it is gone all is awaited as ever."""
    api.put(daemon(0))
    real = api.answer

    def answer(seen: Any) -> Any:
        if seen.method == "DELETE":  # ztunnel gets its port, and the Gateway a new pod
            api.put(
                daemon(1), pod("default/waypoint-2", labels={"gateway.envoyproxy.io/owning-gateway-name": "waypoint"})
            )
        return real(seen)

    api.answer = answer  # type: ignore[method-assign]  # for this test

    whole(kube, Ztunnels(TAKEN))

    assert [seen.path.rpartition("/")[2] for seen in api.asked("DELETE")] == ["waypoint-1"]
    assert any("ztunnel cannot bind" in text and "waypoint-1" in text for _, text in notes)


@pytest.mark.parametrize("missing", stack_recovery.PARTS)
def test_part_that_does_not_come_back_is_named(kube: Kube, api: FakeApi, stack: None, missing: str) -> None:
    """Nobody's port is taken: nothing is deleted, and the part is reported."""
    api.put(daemon(1))
    api.objects[missing]["status"] |= {
        "numberReady": 0,
        "numberAvailable": 0,
        "readyReplicas": 0,
        "availableReplicas": 0,
    }

    with pytest.raises(NotReady, match=missing):
        whole(kube, Ztunnels())

    assert api.asked("DELETE") == []


def test_pods_of_others_are_left_alone(kube: Kube, api: FakeApi, stack: None) -> None:
    """Whose port ztunnel cannot have either, but who are in a namespace that is not ours."""
    theirs = pod("team-b/proxy-1", labels={})
    theirs["metadata"]["uid"] = "uid-8"
    api.put(daemon(0), theirs)

    with pytest.raises(NotReady):
        whole(kube, Ztunnels(TAKEN.replace("uid-7", "uid-8")))

    assert api.asked("DELETE") == []
