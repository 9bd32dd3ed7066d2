"""Requests of the ingress to a Service that has a waypoint: whether they traverse it.

Manifest: manifests/ingress_and_waypoint/traversal.yaml (routing_type.yaml, by_service.yaml)
Article: none; docs/findings.md, "`ingress-use-waypoint` and `routingType`"
"""

from dataclasses import replace

import pytest

from harness.experiments.traversal import send_through_ingress
from harness.waits import gateways
from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, BY_SERVICE = "traversed.example", "by-service.example"
SERVICE, BOUND = "Service/default/echo-traversed", "istio.io/WaypointBound"
PROMISE = "Ingress traffic will traverse the waypoint"


@pytest.fixture(scope="module")
def bound(applied, kube, at_ingress, at_waypoint, here):
    """The Service is bound, and both places have its route; what istiod says of it."""
    wait_for_response(at_ingress.client, at_ingress.get(host=HOST), status=200)
    return wait_for_condition(kube, here(SERVICE), BOUND)


@pytest.mark.feature("ingress-use-waypoint label", place="ingress", means="ignored")
def test_label_promises_a_traversal(bound, at_ingress, at_waypoint):
    """With label ingress-use-waypoint on a Service, istiod's status says that ingress traffic traverses the
    waypoint, but ingress requests bypass it."""
    seen = send_through_ingress(at_ingress, at_waypoint, at_ingress.get(host=HOST), 3)

    assert PROMISE in bound.condition.message
    assert seen.arm.statuses == [200, 200, 200]
    assert seen.at_waypoint == [0, 0, 0]


@pytest.mark.feature("Service with a waypoint, called inside the mesh", place="waypoint")
def test_calls_inside_the_mesh_traverse(bound, at_waypoint):
    """Requests from inside the mesh pass through the waypoint of a Service that also has the label ingress-use-
    waypoint."""
    place = replace(at_waypoint, base="http://echo-traversed:9080")

    arm = place.send([place.get(host=HOST)] * 3)

    assert arm.statuses == [200, 200, 200]
    assert len(arm.lines) == 3


@pytest.mark.feature("routingType Service of a BackendTrafficPolicy", place="ingress", means="ignored", before="1.8")
def test_routing_type_of_a_policy_is_ignored(bound, applying, kube, at_ingress, at_waypoint, here):
    """With Envoy Gateway before 1.8, ingress requests bypass the Service's waypoint even with a
    BackendTrafficPolicy of routingType Service."""
    with applying("ingress_and_waypoint/routing_type.yaml"):
        wait_for_condition(kube, here("BackendTrafficPolicy/default/by-service"), "Accepted")
        wait_for_response(at_ingress.client, at_ingress.get(host=BY_SERVICE), status=200)
        seen = send_through_ingress(at_ingress, at_waypoint, at_ingress.get(host=BY_SERVICE), 3, settle=True)

    assert seen.arm.statuses == [200, 200, 200]
    assert seen.at_waypoint == [0, 0, 0]


@pytest.mark.feature("routingType Service of a BackendTrafficPolicy", place="ingress", since="1.8")
def test_routing_type_of_a_policy_leads_through_the_waypoint(bound, applying, kube, at_ingress, at_waypoint, here):
    """With Envoy Gateway 1.8 and later, a BackendTrafficPolicy with routingType Service sends ingress requests
    through the Service's waypoint."""
    with applying("ingress_and_waypoint/routing_type.yaml"):
        wait_for_condition(kube, here("BackendTrafficPolicy/default/by-service"), "Accepted")
        wait_for_response(at_ingress.client, at_ingress.get(host=BY_SERVICE), status=200)
        seen = send_through_ingress(at_ingress, at_waypoint, at_ingress.get(host=BY_SERVICE), 3, settle=True)

    assert seen.arm.statuses == [200, 200, 200]
    assert seen.at_waypoint == [1, 1, 1]


@pytest.mark.feature("routingType Service of an EnvoyProxy", place="ingress")
def test_routing_type_of_the_proxy_leads_through_the_waypoint(
    bound, applying, kube, client_of, proxy_of, at_ingress, at_waypoint
):
    """An EnvoyProxy with routingType Service sends ingress requests through the Service's waypoint."""
    with applying("ingress_and_waypoint/by_service.yaml"):
        gateways.wait_for_gateway(kube, "ingress-by-service", "ingress-by-service")
        with client_of("ingress-by-service", 80) as client:
            envoy = proxy_of("ingress-by-service")
            place = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
            wait_for_response(client, place.get(host=HOST), status=200)
            seen = send_through_ingress(place, at_waypoint, place.get(host=HOST), 3)

    assert seen.arm.statuses == [200, 200, 200]
    assert seen.at_waypoint == [1, 1, 1]
