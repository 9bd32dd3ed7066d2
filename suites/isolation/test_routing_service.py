"""A waypoint with routingType: Service sends requests to the Service address, and so back to itself.

Manifest: manifests/isolation/routing_service.yaml    Article: none; docs/findings.md, "A waypoint that calls itself"
"""

import pytest

from harness.http_exchange import get
from harness.waits import bind_to_waypoint, gateways

pytestmark = [
    pytest.mark.extended("Routing loop"),
    pytest.mark.needs("waypoint kinds"),
    pytest.mark.timeout(300, func_only=True),
]
REQUEST = get("http://ratings-loop:9080/ratings/0")


@pytest.fixture(scope="module")
def looping_gateway(applied, kube, proxy_of):
    """The waypoint with routingType: Service, and a Service bound to it."""
    gateways.wait_for_gateway(kube, "waypoint-loop", "ratings-loop")
    bind_to_waypoint.bind_service(kube, "ratings-loop", "waypoint-loop")
    return proxy_of("waypoint-loop")


def test_one_call_passes_the_waypoint_many_times(looping_gateway, mesh_client, read_condition, since, here):
    """With routingType Service on a waypoint, a request loops through the waypoint and returns 504, while
    Programmed and WaypointBound are True."""
    answers = mesh_client.send_in_turn(REQUEST, 1)

    lines = looping_gateway.wait_for_related_lines(answers, since, at_least=50)
    assert answers.statuses == [504]
    assert set(looping_gateway.ips) & {line.client_ip for line in lines}
    assert read_condition(here("Gateway/default/waypoint-loop"), "Programmed").state == "met"
    assert read_condition(here("Service/default/ratings-loop"), "istio.io/WaypointBound").state == "met"
