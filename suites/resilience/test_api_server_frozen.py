"""The Kubernetes API server is stopped: connections stay open and nothing answers on them.

Promise: no request is lost, because the data plane does not need the API server. It is stopped for 8 seconds: from
about 10 seconds on, controllers lose their leader election leases.
"""

import pytest

from harness.disruption import nodes
from harness.http_exchange import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "nodes", "disruptive")]


def test_traffic_flows_without_the_api_server(load, new_connections, ingress_load, cluster, waypoint, ingress_gateway):
    """No request through the waypoint or the ingress fails while the Kubernetes API server is stopped for 8 seconds."""
    calls = new_connections(get("http://ratings:9080/ratings/0"), proxy=waypoint)
    with (
        load(calls, ingress_load(get("/health"), proxy=ingress_gateway)) as background_load,
        background_load.event("API server stopped", "no request is lost"),
        nodes.while_api_server_stopped(cluster),
    ):
        pause(8, why="a cluster without its API server")

    assert [timeline.lost for timeline in background_load.timelines] == [(), ()], background_load.text
    assert [timeline.flags for timeline in background_load.timelines] == [{"-"}, {"-"}], background_load.text
