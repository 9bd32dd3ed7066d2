"""A waypoint without port 15008: an annotation tells istiod how the waypoint receives traffic.

Manifest: manifests/waypoint/form_binding.yaml    Article: "Enabling Envoy Gateway as the Waypoint Proxy"
"""

import pytest

from harness.http_exchange import get
from harness.waits import bind_to_waypoint, gateways

NAME, SERVICE = "waypoint-binding", "ratings-binding"
URL = f"http://{SERVICE}:9080/ratings/0"


@pytest.fixture(scope="module")
def envoy(applied, kube, proxy_of, mesh_client):
    """This form's waypoint, with a Service of its own bound to it, once it carries requests."""
    gateways.wait_for_gateway(kube, NAME, SERVICE)
    bind_to_waypoint.bind_service(kube, SERVICE, NAME)
    waypoint = proxy_of(NAME)
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, waypoint, URL)
    return waypoint


def test_service_is_bound(envoy, read_condition, here):
    """Service ratings-binding has condition WaypointBound True, with Gateway waypoint-binding in the message."""
    judgement = read_condition(here(f"Service/default/{SERVICE}"), "istio.io/WaypointBound")

    named = here(f"default/{NAME}") in judgement.text
    assert (judgement.state, named) == ("met", True), judgement.text


def test_call_passes_the_waypoint(envoy, mesh_client, ztunnel, since, here):
    """A request to Service ratings-binding returns 200 over an HBONE connection to the pod of Gateway
    waypoint-binding."""
    answers = mesh_client.send_in_turn(get(URL))

    assert answers.statuses == [200], ztunnel.describe_port_conflict()
    (line,) = envoy.wait_for_lines(answers, since)
    assert line.route_name == here(f"httproute/default/{SERVICE}/rule/0/match/0/{SERVICE}")
    connection = ztunnel.wait_for_connection(since, answers[0].local, line, line.proxy_ip)
    assert (connection.is_ok, connection.dst.addr) == (True, f"{line.proxy_ip}:15008")


def test_service_ports(envoy, kube, here):
    """The Service of Gateway waypoint-binding, which uses an inbound binding annotation, has port 9080 only."""
    ports = {port["port"] for port in kube.get(here(f"Service/default/{NAME}"))["spec"]["ports"]}

    assert ports == {9080}


def test_what_envoy_was_refused(envoy):
    """The Envoy of Gateway waypoint-binding has rejected no xDS update."""
    rejected = envoy.read_rejected_resources()

    assert rejected == [], f"Envoy of Gateway waypoint-binding rejected {rejected}"
