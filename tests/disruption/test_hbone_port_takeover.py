"""Whose port was taken is reported by ztunnel's uid; a pod that is gone is nobody to blame."""

from harness.disruption import hbone_port_takeover
from harness.kube import Kube
from tests.fakes.api import FakeApi
from tests.fakes.pods import pod

BIND = (
    "2026-11-21T09:22:20.011442Z\tinfo\tinpod::statemanager\tretrying workload failed: failed to bind to address "
    '[::]:15008: Address already in use (os error 98)\tuid="{}"'
)


class Ztunnels:
    """Its log on one node."""

    def __init__(self, *lines: str) -> None:
        self._text = "\n".join(lines)

    def read_logs(self) -> dict[str, str]:
        return {"worker": self._text}


def test_culprits_are_the_pods_that_are_still_there(kube: Kube, api: FakeApi) -> None:
    taken, other = pod("default/waypoint-1", labels={}), pod("default/ratings-1", labels={})
    taken["metadata"]["uid"], other["metadata"]["uid"] = "uid-7", "uid-8"
    api.put(taken, other)
    ztunnels = Ztunnels(BIND.format("uid-7"), BIND.format("uid-7"), BIND.format("uid-gone"))

    assert hbone_port_takeover.read_pods_with_taken_ports(kube, ztunnels) == ["Pod/default/waypoint-1"]  # type: ignore[arg-type]  # a stand-in


def test_without_a_failure_nobody_is(kube: Kube, api: FakeApi) -> None:
    """Planted: a log that is about port 15008 and of no failure."""
    there = pod("default/waypoint-1", labels={})
    there["metadata"]["uid"] = "uid-7"
    api.put(there)

    ztunnels = Ztunnels("2026-11-21T09:22:20Z\tinfo\tproxy\tlistening on [::]:15008")
    assert hbone_port_takeover.read_pods_with_taken_ports(kube, ztunnels) == []  # type: ignore[arg-type]  # a stand-in
