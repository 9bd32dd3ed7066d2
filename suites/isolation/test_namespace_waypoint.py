"""A waypoint for a whole namespace: Services for which it has no route get 404.

Manifest: manifests/isolation/namespace_waypoint.yaml    Article: "or label the namespace", where it labels the Service
"""

import pytest

from harness.http_exchange import get
from harness.waits import bind_to_waypoint
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.extended("Namespace-wide waypoint")]
DETAILS = get("http://details:9080/details/0")


@pytest.fixture(scope="module")
def namespace_label(waypoint, applied, kube, mesh_client, here):
    """The namespace's waypoint label during this module; details returns 200 again afterwards."""
    wait_for_response(mesh_client, DETAILS, status=404)  # if it is not, `applied` removes the label again
    yield
    kube.patch(here("Namespace/default"), {"metadata": {"labels": {bind_to_waypoint.USE_WAYPOINT: None}}})
    wait_for_response(mesh_client, DETAILS, status=200)


def test_service_without_a_route_is_refused(namespace_label, waypoint, mesh_client, since):
    """With a waypoint for the whole namespace, requests to Service details, which has no HTTPRoute, return 404 with
    response flag NR."""
    answers = mesh_client.send_in_turn(DETAILS, 3)

    assert answers.statuses == [404] * 3
    assert {(line.flags, line.upstream_host) for line in waypoint.wait_for_lines(answers, since)} == {("NR", None)}


def test_service_with_a_route_is_served(namespace_label, waypoint, mesh_client, since):
    """With a waypoint for the whole namespace, requests to Service ratings, which has an HTTPRoute, return 200
    through the waypoint."""
    answers = mesh_client.send_in_turn(get("http://ratings:9080/ratings/0"), 3)

    assert answers.statuses == [200] * 3
    waypoint.wait_for_lines(answers, since)


def test_istiod_calls_it_bound(namespace_label, read_condition, here):
    """With a waypoint for the whole namespace, Service details has condition WaypointBound True although the
    waypoint has no route for it."""
    assert read_condition(here("Service/default/details"), "istio.io/WaypointBound").state == "met"


@pytest.mark.needs("real gateway")
@pytest.mark.feature("Namespace-wide waypoint, Envoy Gateway's own Services", place="waypoint", means="broken")
def test_ingress_service_is_captured(namespace_label, waypoint, ingress, ingress_gateway, mesh_client, since):
    """With a waypoint for the whole namespace, requests from inside the mesh to the ingress Service return 404 from
    the waypoint."""
    inside = mesh_client.send_in_turn(get("http://bookinfo-ingress/productpage"), 3)
    outside = ingress.send_in_turn(get("/productpage"), 3)

    assert inside.statuses == [404] * 3
    assert {(line.flags, line.upstream_host) for line in waypoint.wait_for_lines(inside, since)} == {("NR", None)}
    assert outside.statuses == [200] * 3
    assert {line.flags for line in ingress_gateway.wait_for_lines(outside, since)} == {"-"}
