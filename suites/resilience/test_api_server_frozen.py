"""The Kubernetes API server is silent: connections stand, no answer comes.

Promise: nothing is lost: what serves asks no API server. Eight seconds: from ten on, controllers lose their leases.
"""

import pytest

from harness.disruption import nodes
from harness.http_exchange import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "nodes", "disruptive")]


def test_traffic_flows_without_the_api_server(load, anew, outside, cluster, waypoint, ingress_gateway):
    """While the API server is silent neither waypoint nor ingress loses a request, and each serves its own."""
    calls = anew(get("http://ratings:9080/ratings/0"), through=waypoint)
    with (
        load(calls, outside(get("/health"), through=ingress_gateway)) as flow,
        flow.event("API server frozen", "nothing is lost"),
        nodes.while_api_server_stopped(cluster),
    ):
        pause(8, why="a cluster without its API server")

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
    assert [timeline.flags for timeline in flow.timelines] == [{"-"}, {"-"}], flow.story
