"""A node is drained by evictions that heed budgets, and is open again whatever happens; an API server goes on."""

from typing import Any

import pytest

from harness.cluster.protocol import Cluster
from harness.disruption import nodes
from harness.errors import NotReady
from harness.kube import Kube
from harness.undo.temporary_changes import Manifests, undo_leftovers
from tests.fakes.api import FakeApi, Object, named
from tests.fakes.clock import Clock
from tests.fakes.pods import pod


def owned(name: str, kind: str, owner: str, node: str = "n1") -> Object:
    """A pod of a workload's on a node."""
    found = pod(name, labels={"app": owner})
    found["metadata"]["ownerReferences"] = [{"kind": kind, "name": owner}]
    found["spec"]["nodeName"] = node
    return found


@pytest.fixture
def node(api: FakeApi) -> str:
    """A node with two pods that can leave, one of a DaemonSet and a static one; and another node's pod."""
    static = pod("kube-system/etcd", labels={})
    static["metadata"]["annotations"] = {nodes.MIRROR: "x"}
    api.put(
        named("Node/n1", spec={}),
        named("Node/n2", spec={}),
        owned("default/x-1", "ReplicaSet", "x-5b"),
        owned("kube-system/dns-1", "ReplicaSet", "dns-7c"),
        owned("istio-system/z-1", "DaemonSet", "z"),
        static,
        owned("default/y-1", "ReplicaSet", "y-8d", node="n2"),
    )
    return "n1"


def cordons(api: FakeApi) -> list[Any]:
    return [seen.body["spec"]["unschedulable"] for seen in api.asked("PATCH", "nodes/")]


def test_all_that_can_leave_is_evicted(manifests: Manifests, kube: Kube, api: FakeApi, node: str) -> None:
    with nodes.while_drained(manifests, node):
        left = {pod["metadata"]["name"] for pod in kube.list_objects("Pod")}

    assert left == {"z-1", "etcd", "y-1"}
    assert {seen.path.rsplit("/", 2)[1] for seen in api.asked("POST", "eviction")} == {"x-1", "dns-1"}
    assert cordons(api) == [True, None]


def test_budget_is_heeded(manifests: Manifests, api: FakeApi, node: str, clock: Clock) -> None:
    """Planted: nothing to spare, twice; it is asked again, and nothing is deleted."""
    api.refuse(
        "POST", "x-1/eviction", 429, "Cannot evict pod as it would violate the pod's disruption budget.", times=2
    )

    with nodes.while_drained(manifests, node):
        pass

    assert len(api.asked("POST", "x-1/eviction")) == 3
    assert api.asked("DELETE") == []


def test_node_is_open_again_although_nothing_left(manifests: Manifests, api: FakeApi, node: str, clock: Clock) -> None:
    """Planted: a budget that never has anything to spare."""
    api.refuse("POST", "eviction", 429, "disruption budget")

    with pytest.raises(NotReady, match="node n1 is drained"), nodes.while_drained(manifests, node):
        raise AssertionError("never reached")

    assert cordons(api) == [True, None]


def test_node_is_open_again_although_the_run_was_killed(manifests: Manifests, api: FakeApi, node: str) -> None:
    """Planted: SIGKILL in the block. The next run opens it before it begins."""
    nodes.while_drained(manifests, node).__enter__()

    undo_leftovers(manifests.kube, manifests._made)

    assert cordons(api) == [True, None]


def test_pod_on_its_way_out_is_not_gone(manifests: Manifests, api: FakeApi, node: str, clock: Clock) -> None:
    """It serves on; and nobody evicts it twice."""
    api.objects["Pod/default/x-1"]["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"

    with pytest.raises(NotReady, match="x-1"), nodes.while_drained(manifests, node):
        raise AssertionError("never reached")

    assert api.asked("POST", "x-1/eviction") == []


def test_workloads_of_a_node(kube: Kube, api: FakeApi, node: str) -> None:
    assert nodes.read_deployments_on(kube, node) == {"Deployment/default/x"}
    assert nodes.read_deployments_on(kube, "n2") == {"Deployment/default/y"}


def test_node_beside_a_client(kube: Kube, api: FakeApi, node: str) -> None:
    assert nodes.read_node_without(kube, "app=y-8d") == "n1"
    assert nodes.read_node_without(kube, "app=x-5b") == "n2"


def test_api_server_goes_on_although_the_test_failed(programs: Any, cluster: Cluster) -> None:
    programs.have("docker")

    with pytest.raises(AssertionError), nodes.while_api_server_stopped(cluster):
        raise AssertionError("the test")

    assert [("-STOP" in call.argv, "-CONT" in call.argv) for call in programs.calls("docker", "pkill")] == [
        (True, False),
        (False, True),
    ]
