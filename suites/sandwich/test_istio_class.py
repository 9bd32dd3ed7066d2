"""A sandwich waypoint: a Gateway of Istio's own class as the waypoint, beside those of Envoy Gateway.

Manifest: manifests/sandwich/istio_class.yaml    Article: "BYO Waypoint in Istio Ambient Mode"

Its conditions are set by istiod and are judged wherever istiod runs. Its traffic needs Istio's proxy image; where that
image cannot be pulled, the traffic tests are skipped with that reason.
"""

import pytest

from harness.disruption import istio_waypoint_without_pods
from harness.http_exchange import get
from harness.objects.workloads import is_pod_ready, pod_ip
from harness.waits.status import wait_for_condition

ONE = pytest.mark.one_witness("Istio's waypoint writes no access log by default")
pytestmark = [pytest.mark.extended("Sandwich"), pytest.mark.needs("istio gateways")]
GATEWAY, SERVICE = "Gateway/default/byo-waypoint", "Service/default/ratings-sandwich"
URL = "http://ratings-sandwich.default.svc.cluster.local:9080/ratings/0"


@pytest.fixture(scope="module")
def bound(applied, kube, here):
    """The Gateway, Programmed by istiod, and the Service bound to it."""
    wait_for_condition(kube, here(GATEWAY), "Programmed")
    istio_waypoint_without_pods.bind_service(kube)


@pytest.fixture
def without_pod(bound, kube):
    """The waypoint without a pod, as after a failed pull, a crash, or on a full node."""
    with istio_waypoint_without_pods.while_without_pods(kube):
        yield


@pytest.fixture(scope="module")
def proxy(bound, kube):
    """Istio's proxy, ready; a test that needs it is skipped if its image cannot be pulled."""
    istio_waypoint_without_pods.wait_for_start(kube)
    istio_waypoint_without_pods.record_build(kube)


def test_istiod_programs_the_gateway(bound, read_condition, here):
    """Gateway byo-waypoint of GatewayClass istio is Accepted and Programmed, and the message of Programmed names the
    Gateway's Service and port 15008."""
    assert read_condition(here(GATEWAY), "Accepted", about="").state == "met"
    programmed = read_condition(here(GATEWAY), "Programmed", about="")

    assert programmed.state == "met", programmed.text
    assert here("byo-waypoint-istio.default.svc.cluster.local:15008") in programmed.condition.message


def test_service_is_bound(bound, read_condition, here):
    """Service ratings-sandwich has condition WaypointBound True, with Gateway byo-waypoint in the message."""
    judgement = read_condition(here(SERVICE), "istio.io/WaypointBound")

    assert judgement.state == "met", judgement.text
    assert here("default/byo-waypoint") in judgement.condition.message


def test_tcp_listener_is_refused_and_its_port_opened(bound, kube, here):
    """istiod rejects the TCP listener on port 15008 of Gateway byo-waypoint as UnsupportedProtocol, but the
    Gateway's Service still has port 15008."""
    listeners = {one["name"]: one["conditions"] for one in kube.get(here(GATEWAY))["status"]["listeners"]}
    accepted = next(c for c in listeners["fake-hbone-port"] if c["type"] == "Accepted")
    ports = {port["port"] for port in kube.get(here("Service/default/byo-waypoint-istio"))["spec"]["ports"]}

    assert (accepted["status"], accepted["reason"]) == ("False", "UnsupportedProtocol")
    assert ports == {9080, 15008, 15021}


@ONE
def test_statuses_are_green_without_a_pod(without_pod, kube, read_condition, mesh_client, here):
    """While Gateway byo-waypoint has no ready pod, Programmed and WaypointBound are True, but requests get no
    response."""
    answers = mesh_client.send_in_turn(get(here(URL)), 5)

    assert not any(is_pod_ready(pod) for pod in istio_waypoint_without_pods.read_pods(kube))
    assert read_condition(here(GATEWAY), "Programmed", about="").state == "met"
    assert read_condition(here(SERVICE), "istio.io/WaypointBound").state == "met"
    assert answers.statuses == [None] * 5


@pytest.mark.feature("Sandwich waypoint of class istio, as in the article", place="waypoint", means="broken")
def test_calls_fail_as_in_the_article(proxy, mesh_client, ztunnel, kube, read_condition, since, here):
    """Requests through Gateway byo-waypoint of GatewayClass istio return 503: its proxy sends HBONE, and ztunnel wraps
    that connection in HBONE again."""
    answers = mesh_client.send_in_turn(get(here(URL)), 3)

    ztunnel.wait_for_connections(answers, since)
    nested = istio_waypoint_without_pods.find_nested_hbone(kube, ztunnel.read_lines(since))
    assert answers.statuses == [503, 503, 503]
    assert {line.error for line in nested} == {"http status: 503 Service Unavailable"}
    assert read_condition(here(GATEWAY), "Programmed", about="").state == "met"
    assert read_condition(here(SERVICE), "istio.io/WaypointBound").state == "met"


@pytest.mark.feature("Sandwich waypoint of class istio, HBONE by ztunnel alone", place="waypoint")
def test_call_passes_the_waypoint(proxy, manifests, mesh_client, ztunnel, kube, since, here):
    """With ISTIO_META_DISABLE_HBONE_SEND on the proxy of Gateway byo-waypoint, requests through that waypoint return
    200 over HBONE connections."""
    control = mesh_client.send_in_turn(get(here(URL)))
    ztunnel.wait_for_connections(control, since)
    with istio_waypoint_without_pods.while_sending_no_hbone(manifests, kube):
        answers = mesh_client.send_in_turn(get(here(URL)), 2)
        legs = ztunnel.wait_for_connections(answers, since)
        pods = {pod_ip(pod) for pod in istio_waypoint_without_pods.read_pods(kube)}
    recovery = mesh_client.send_in_turn(get(here(URL)))
    ztunnel.wait_for_connections(recovery, since)

    assert (control.statuses, answers.statuses, recovery.statuses) == ([503], [200, 200], [503])
    assert {(leg.is_ok, leg.is_hbone, leg.dst.ip in pods) for leg in legs} == {(True, True, True)}


@ONE
def test_host_outside_the_route_is_not_served(proxy, mesh_client):
    """A request to host name ratings-sandwich, which the HTTPRoute of waypoint byo-waypoint does not list, returns
    404."""
    answers = mesh_client.send_in_turn(get("http://ratings-sandwich:9080/ratings/0"))

    assert answers.statuses == [404]
