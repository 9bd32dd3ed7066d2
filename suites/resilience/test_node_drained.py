"""One of two nodes is drained. Each workload has a replica on both nodes and a PodDisruptionBudget.

Manifest: manifests/resilience/node_drained.yaml
Promise: no request is lost: an eviction removes a replica only while the other one serves, and each drains before it
ends. Occasionally the draining waypoint responds without closing the connection (tests/recordings/rolled-unclosed).
"""

from dataclasses import dataclass

import pytest

from harness.disruption import nodes
from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text
from harness.waits import bind_to_waypoint, responses, rollouts
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "nodes", "two nodes", "disruptive")]
WORKLOADS = ("waypoint-spread", "ingress-spread", "ratings-spread")
REQUEST = get("http://ratings-spread:9080/ratings/0")
DRAINED = "node of two drained"


@dataclass(frozen=True)
class Drained:
    """The Deployments; the load; where ztunnel sent its connections; requests that the node's proxies served before;
    Deployments with pods on the node before and after."""

    workloads: set[str]
    flow: BackgroundLoad
    ways: set[str]
    carried: dict[str, int]
    before: set[str]
    after: set[str]


@pytest.fixture(scope="module")
def ratings_on_two_nodes(restored_stack, cluster, bundle, version_set, applied, kube, mesh_client, here):
    """Waypoint, ingress and backend, with a replica of each on both nodes."""
    nodes.load_images_everywhere(cluster, bundle, version_set, "envoy", "gateway", "bookinfo-ratings-v1")
    wait_for_condition(kube, here("Gateway/default/waypoint-spread"), "Programmed")
    wait_for_condition(kube, here("Gateway/default/ingress-spread"), "Programmed")
    workloads = {here(f"Deployment/default/{name}") for name in WORKLOADS}
    rollouts.wait_for_rollouts(kube, workloads)
    bind_to_waypoint.bind_service(kube, "ratings-spread", "waypoint-spread")
    responses.wait_for_response(mesh_client, REQUEST, status=200)
    return workloads


@pytest.fixture(scope="module")
def drained_node(
    ratings_on_two_nodes,
    load,
    new_connections,
    keepalive,
    ingress_load,
    client_of,
    manifests,
    kube,
    ztunnel,
    current_time,
):
    """Requests through all of them while the node without the client is drained, and afterwards."""
    node, since = nodes.read_node_without(kube, "app=mesh-client"), current_time()
    with client_of("ingress-spread", 80) as client:
        within = new_connections(REQUEST), keepalive(REQUEST)
        with load(*within, ingress_load(get("/ratings/0"), ingress=client)) as background_load:
            carried, before = (
                nodes.read_request_counts(kube, node, background_load.id, since),
                nodes.read_deployments_on(kube, node),
            )
            with background_load.event(DRAINED, "at most two new connections"), nodes.while_drained(manifests, node):
                after = nodes.read_deployments_on(kube, node)
            rollouts.wait_for_rollouts(kube, ratings_on_two_nodes)
    return Drained(
        ratings_on_two_nodes,
        background_load,
        ztunnel.read_destinations(since, "ratings-spread"),
        carried,
        before,
        after,
    )


def test_drained_node_carried_its_share(drained_node):
    """Before a node is drained, it runs a pod of every test Deployment, and its ingress and waypoint pods handle
    requests of the load."""
    assert drained_node.before >= drained_node.workloads
    assert drained_node.carried.keys() == {"waypoint-spread", "ingress-spread"}
    assert min(drained_node.carried.values()) > 0


def test_draining_a_node_loses_nothing_that_stands(drained_node):
    """When a node is drained, at most 2 requests on new connections fail, and none on keep-alive connections or
    through the ingress."""
    new_connections, keepalive, ingress_load = drained_node.flow.timelines

    assert not drained_node.after & drained_node.before
    assert len(new_connections.lost) <= UNCLOSED.allowed(), f"{UNCLOSED}\n{timeline_as_text(new_connections)}"
    assert (keepalive.lost, ingress_load.lost) == ((), ()), drained_node.flow.text
    assert drained_node.ways == {"waypoint-spread"}
