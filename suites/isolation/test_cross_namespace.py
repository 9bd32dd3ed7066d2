"""Services of another namespace: one that the waypoint's listeners do not allow, and one that they allow.

Manifest: manifests/isolation/cross_namespace.yaml    Article: none
"""

import pytest

from harness.http_exchange import get
from harness.objects.address_with_port import host_port
from harness.objects.workloads import pod_ip
from harness.waits import bind_to_waypoint, rollouts, status
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.extended("Cross-namespace attachment")]
BOUND = "istio.io/WaypointBound"
GUEST = "http://guest.elsewhere:9080/ratings/0"
WELCOME = "http://welcome.elsewhere:9080/ratings/0"


@pytest.fixture(scope="module")
def denied(waypoint, applied, kube, mesh_client, here):
    """The condition of Service guest, which is denied the waypoint of ratings, once its pods respond."""
    rollouts.wait_for_rollout(kube, here("Deployment/elsewhere/ratings-v1"))
    refused = status.wait_for_false_condition(kube, here("Service/elsewhere/guest"), BOUND)
    wait_for_response(mesh_client, get(here(GUEST)), status=200)
    return refused


@pytest.fixture(scope="module")
def permitted(denied, kube, proxy_of, mesh_client, here):
    """The proxy of the waypoint that allows any namespace, once it carries requests to Service welcome."""
    status.wait_for_condition(kube, here("Gateway/default/waypoint-open"), "Programmed")
    status.wait_for_condition(kube, here("HTTPRoute/elsewhere/welcome"), "Accepted")
    labels = {
        bind_to_waypoint.USE_WAYPOINT: "waypoint-open",
        f"{bind_to_waypoint.USE_WAYPOINT}-namespace": here("default"),
    }
    kube.patch(here("Service/elsewhere/welcome"), {"metadata": {"labels": labels}})
    status.wait_for_condition(kube, here("Service/elsewhere/welcome"), BOUND)
    envoy = proxy_of("waypoint-open")
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, here(WELCOME))
    return envoy


def test_attachment_is_denied(denied, here):
    """Service guest has condition WaypointBound False with reason AttachmentDenied if the waypoint's listeners do
    not allow its namespace."""
    assert denied.reason == "AttachmentDenied"
    assert here("default/waypoint") in denied.message


def test_ztunnel_has_no_waypoint_for_the_denied(denied, ztunnel, here):
    """No node's ztunnel lists a waypoint for Service guest, whose namespace the waypoint's listeners do not allow."""
    destinations = {node: view.waypoint_of("guest", here("elsewhere")) for node, view in ztunnel.read_views().items()}

    assert destinations, "no ztunnel is there to ask"
    assert set(destinations.values()) == {""}


def test_calls_of_the_denied_go_past_the_waypoint(denied, waypoint, mesh_client, since, here):
    """Requests to Service guest, whose namespace the waypoint's listeners do not allow, return 200 and bypass the
    waypoint."""
    answers = mesh_client.send_in_turn(get(here(GUEST)), 3)
    marker = mesh_client.send_in_turn(get("http://ratings:9080/ratings/0"))

    assert answers.statuses == [200] * 3
    waypoint.wait_for_lines(marker, since)  # the log is written in batches: with this line, theirs would be there
    assert waypoint.has_no_line_of(answers, since)


def test_calls_of_the_permitted_pass_the_waypoint(permitted, mesh_client, kube, since, here):
    """Requests to Service welcome return 200 through a waypoint in another namespace whose listeners allow the
    Service's namespace."""
    (pod,) = kube.list_pods(here("elsewhere"), "app=ratings")

    answers = mesh_client.send_in_turn(get(here(WELCOME)), 3)

    assert answers.statuses == [200] * 3
    assert {line.upstream_host for line in permitted.wait_for_lines(answers, since)} == {host_port(pod_ip(pod), 9080)}


def test_ztunnel_sends_the_permitted_to_the_waypoint(permitted, ztunnel, here):
    """Every node's ztunnel lists a waypoint for Service welcome, whose namespace the waypoint's listeners allow."""
    destinations = {node: view.waypoint_of("welcome", here("elsewhere")) for node, view in ztunnel.read_views().items()}

    assert destinations, "no ztunnel is there to ask"
    assert "" not in destinations.values()
