"""The node ports of a Gateway's Service, and what is awaited of it."""

import pytest

from harness.errors import NotReady
from harness.experiments.gateway_service import read_node_doors, wait_for_annotations
from harness.kube import Kube
from harness.objects.workloads import OWNING_GATEWAY
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock
from tests.fakes.pods import pod

SERVICE = "Service/default/address"


@pytest.fixture
def stood(api: FakeApi) -> None:
    """Two nodes, the second of which has the proxy."""
    for number, name in enumerate(("a", "n1")):
        api.put(
            named(
                f"Node/{name}",
                spec={"podCIDRs": [f"10.244.{number}.0/24"]},
                status={"addresses": [{"type": "InternalIP", "address": f"172.19.0.{number + 2}"}]},
            )
        )
    api.put(pod("default/address-1", labels={OWNING_GATEWAY: "address"}))
    api.put(named(SERVICE, metadata={"annotations": {"one": "1"}}, spec={"ports": [{"port": 80, "nodePort": 30080}]}))


def test_door_of_the_proxys_node_is_first(kube: Kube, stood: None) -> None:
    """Each has the node's own addresses: its internal one, and the first of its pods' network."""
    doors = read_node_doors(kube, "address")

    assert [door.node for door in doors] == ["n1", "a"]
    assert [door.client.base_url for door in doors] == ["http://172.19.0.3:30080", "http://172.19.0.2:30080"]
    assert doors[0].own == {"172.19.0.3", "10.244.1.1"}


def test_annotations_are_read_once_they_are_there(kube: Kube, stood: None) -> None:
    assert wait_for_annotations(kube, SERVICE, ["one"], there=True) == {"one": "1"}
    assert wait_for_annotations(kube, SERVICE, ["two"], there=False) == {"two": ""}


@pytest.mark.parametrize(("names", "there", "what"), [(["one", "two"], True, "all"), (["one", "two"], False, "none")])
def test_some_of_the_annotations_are_neither(
    kube: Kube, stood: None, clock: Clock, names: list[str], there: bool, what: str
) -> None:
    with pytest.raises(NotReady, match=f"has {what} of the annotations one, two"):
        wait_for_annotations(kube, SERVICE, names, there=there)
