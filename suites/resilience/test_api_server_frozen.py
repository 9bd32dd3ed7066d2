"""The Kubernetes API server is stopped: connections stay open and nothing answers on them.

Promise: no request is lost, because the data plane does not need the API server. It is stopped for 8 seconds: from
about 10 seconds on, controllers lose their leader election leases.
"""

import pytest

from harness.disruption import nodes
from harness.http_exchange import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "nodes", "disruptive")]


def test_traffic_flows_without_the_api_server(load, anew, outside, cluster, waypoint, ingress_gateway):
    """No request through the waypoint or the ingress fails while the API server is stopped for 8 seconds."""
    calls = anew(get("http://ratings:9080/ratings/0"), through=waypoint)
    with (
        load(calls, outside(get("/health"), through=ingress_gateway)) as flow,
        flow.event("API server stopped", "no request is lost"),
        nodes.while_api_server_stopped(cluster),
    ):
        pause(8, why="a cluster without its API server")

    assert [timeline.lost for timeline in flow.timelines] == [(), ()], flow.story
    assert [timeline.flags for timeline in flow.timelines] == [{"-"}, {"-"}], flow.story
