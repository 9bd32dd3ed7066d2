"""One of two nodes is drained. Each workload has a replica on both nodes and a PodDisruptionBudget.

Manifest: manifests/resilience/node_drained.yaml
Promise: no request is lost: an eviction removes a replica only while the other one serves, and each drains before it
ends. Occasionally the draining waypoint responds without closing the connection (tests/recordings/rolled-unclosed).
"""

from dataclasses import dataclass

import pytest

from harness.disruption import nodes
from harness.http_exchange import get
from harness.load.background_load import Flow
from harness.load.timeline_text import picture
from harness.waits import responses, rollouts, waypoints
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "nodes", "two nodes", "disruptive")]
WORKLOADS = {f"Deployment/default/{name}" for name in ("waypoint-spread", "ingress-spread", "ratings-spread")}
REQUEST = get("http://ratings-spread:9080/ratings/0")
DRAINED = "node of two drained"
UNCLOSED = 2  # of the client with new connections, one on each of its two: docs/outages.md says how often


@dataclass(frozen=True)
class Drained:
    """The load; where ztunnel sent its connections; requests that the node's proxies served before; Deployments with
    pods on the node before and after."""

    flow: Flow
    ways: set[str]
    carried: dict[str, int]
    before: set[str]
    after: set[str]


@pytest.fixture(scope="module")
def spread(whole_again, cluster, bundle, version_set, applied, kube, mesh_client):
    """Waypoint, ingress and backend, with a replica of each on both nodes."""
    nodes.load_images_everywhere(cluster, bundle, version_set, "envoy", "gateway", "bookinfo-ratings-v1")
    wait_for_condition(kube, "Gateway/default/waypoint-spread", "Programmed")
    wait_for_condition(kube, "Gateway/default/ingress-spread", "Programmed")
    for workload in WORKLOADS:
        rollouts.wait_for_rollout(kube, workload)
    waypoints.bind_service(kube, "ratings-spread", "waypoint-spread")
    responses.wait_for_response(mesh_client, REQUEST, status=200)


@pytest.fixture(scope="module")
def drained(spread, load, anew, kept, outside, client_of, manifests, kube, ztunnel, moment):
    """Requests through all of them while the node without the client is drained, and afterwards."""
    node, since = nodes.read_node_without(kube, "app=mesh-client"), moment()
    with client_of("ingress-spread", 80) as client:
        within = anew(REQUEST), kept(REQUEST)
        with load(*within, outside(get("/ratings/0"), ingress=client)) as flow:
            carried, before = (
                nodes.read_request_counts(kube, node, flow.id, since),
                nodes.read_deployments_on(kube, node),
            )
            with flow.event(DRAINED, "at most two new connections"), nodes.while_drained(manifests, node):
                after = nodes.read_deployments_on(kube, node)
            for workload in WORKLOADS:
                rollouts.wait_for_rollout(kube, workload)
    return Drained(flow, ztunnel.ways(since, "ratings-spread"), carried, before, after)


def test_drained_node_carried_its_share(drained):
    """Before the drain, the node runs a replica of each Deployment, and its two proxies serve requests of this load."""
    assert drained.before >= WORKLOADS
    assert drained.carried.keys() == {"waypoint-spread", "ingress-spread"}
    assert min(drained.carried.values()) > 0


def test_draining_a_node_loses_nothing_that_stands(drained):
    """Draining a node fails at most 2 new connections and no keep-alive one, and none bypasses the waypoint."""
    anew, kept, outside = drained.flow.timelines

    assert not drained.after & drained.before
    assert len(anew.lost) <= UNCLOSED, picture(anew)
    assert (kept.lost, outside.lost) == ((), ()), drained.flow.story
    assert drained.ways == {"waypoint-spread"}
