"""Envoy Gateway is the waypoint of ratings: bound, on the path of requests, with a route for each host name.

Manifest: manifests/waypoint/ratings.yaml (with gateway_<form>.yaml)    Article: "Enabling ... as the Waypoint Proxy"
"""

import pytest

from harness.experiments.journey_collector import REVIEWS_V1
from harness.http_exchange import get
from harness.objects.address_with_port import host_port, url
from harness.objects.workloads import pod_ip

CLIENT = "spiffe://cluster.local/ns/default/sa/mesh-client"
WAYPOINT = "spiffe://cluster.local/ns/default/sa/waypoint"
RATINGS = "spiffe://cluster.local/ns/default/sa/bookinfo-ratings"
HOSTS = ("ratings", "ratings.default", "ratings.default.svc.cluster.local")
URL = "http://ratings:9080/ratings/0"


def test_service_is_bound(waypoint, read_condition, here):
    """Service ratings has condition WaypointBound True, with Gateway waypoint in the message."""
    judgement = read_condition(here("Service/default/ratings"), "istio.io/WaypointBound")

    assert judgement.state == "met", judgement.text
    assert here("default/waypoint") in judgement.condition.message


def test_every_ztunnel_sends_ratings_to_the_waypoint(waypoint, kube, ztunnel, here):
    """Every node's ztunnel lists the ClusterIP of the waypoint's Service as the waypoint address of Service ratings."""
    address = kube.get(here("Service/default/waypoint"))["spec"]["clusterIP"]

    destinations = {node: view.waypoint_of("ratings") for node, view in ztunnel.read_views().items()}

    assert destinations, "no ztunnel is there to ask"
    assert set(destinations.values()) == {address}, destinations


@pytest.mark.parametrize("host", HOSTS)
def test_host_of_the_route_passes(waypoint, mesh_client, ztunnel, since, host, here):
    """A request to host name {host} returns 200 through the waypoint's HTTPRoute for ratings."""
    called = here(host)

    answers = mesh_client.send_in_turn(get(f"http://{called}:9080/ratings/0"))

    assert answers.statuses == [200], ztunnel.describe_port_conflict()
    (line,) = waypoint.wait_for_lines(answers, since)
    assert line.route_name == here(f"httproute/default/ratings/rule/0/match/0/{called.replace('.', '_')}")


def test_host_outside_the_route_is_refused(waypoint, mesh_client, since, here):
    """A request to host name ratings.default.svc, which the waypoint's HTTPRoute does not list, returns 404 with
    response flag NR."""
    answers = mesh_client.send_in_turn(get(here("http://ratings.default.svc:9080/ratings/0")))

    assert answers.statuses == [404]
    (line,) = waypoint.wait_for_lines(answers, since)
    assert (line.flags, line.upstream_host) == ("NR", None)


def test_client_leg_is_hbone(waypoint, mesh_client, ztunnel, since, here):
    """ztunnel logs an HBONE connection from the client to the waypoint, for Service ratings, with the SPIFFE
    identities of both."""
    answers = mesh_client.send_in_turn(get(URL))

    (line,) = waypoint.wait_for_lines(answers, since)
    connection = ztunnel.wait_for_connection(since, answers[0].local, line, line.proxy_ip)
    service = here("ratings.default.svc.cluster.local")
    assert (connection.dst.addr, connection.dst.service) == (f"{line.proxy_ip}:15008", service), connection.raw
    assert (connection.src.identity, connection.dst.identity) == (here(CLIENT), here(WAYPOINT))


def test_backend_leg_is_hbone(waypoint, mesh_client, ztunnel, kube, since, here):
    """ztunnel logs an HBONE connection from the waypoint to the ratings pod, with the SPIFFE identities of both."""
    (pod,) = kube.list_pods(kube.namespace, "app=ratings")
    answers = mesh_client.send_in_turn(get(URL))

    (line,) = waypoint.wait_for_lines(answers, since)
    connection = ztunnel.wait_for_connection(since, line.upstream_local_address, line, line.upstream_host)
    tunnel = (host_port(pod_ip(pod), 15008), line.upstream_host)
    assert (connection.dst.addr, connection.dst.hbone_addr) == tunnel, connection.raw
    assert (connection.src.identity, connection.dst.identity) == (here(WAYPOINT), here(RATINGS))


def test_pod_address_goes_past_the_waypoint(waypoint, mesh_client, kube, since):
    """A request from inside the mesh to the IP address of the ratings pod returns 200 and bypasses the waypoint."""
    (pod,) = kube.list_pods(kube.namespace, "app=ratings")

    answers = mesh_client.send_in_turn(get(url(pod_ip(pod), 9080, "/ratings/0")))
    marker = mesh_client.send_in_turn(get(URL))

    assert answers.statuses == [200]
    waypoint.wait_for_lines(marker, since)  # the log is written in batches: with this line, the other would be there
    assert waypoint.has_no_line_of(answers, since), "the waypoint has a line of the call to the pod's own address"


def test_page_calls_ratings_through_the_waypoint(waypoint, ingress, ingress_gateway, since):
    """For each product page request, except those to reviews v1, the waypoint logs a request to ratings with status
    200."""
    answers = ingress.send_in_turn(get("/productpage"), 12)  # reviews forwards the client's name; v1 calls no Service

    assert answers.statuses == [200] * 12
    ingress_gateway.wait_for_lines(answers, since)
    lines = waypoint.wait_for_lines(answers.without_text(REVIEWS_V1), since)
    assert {(line.status, line.authority) for line in lines} == {(200, "ratings:9080")}


def test_waypoint_refused_no_configuration(waypoint, settings, here):
    """The waypoint's Envoy has rejected no xDS update, except for the listener on port 15008 with setting
    WAYPOINT=listener."""
    refused = waypoint.read_rejected_resources()

    assert refused == {"binding": [], "patch": [], "listener": [here("default/waypoint/fake-hbone")]}[settings.waypoint]
