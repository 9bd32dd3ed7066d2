"""A Service on port 80 behind a waypoint: ztunnel connects to port 80, where Envoy does not listen by default.

Manifest: manifests/isolation/port_80.yaml    Article: none; docs/findings.md, "Ports below 1024"

The forms: `shifted` leaves Envoy on 10080; `refused` asks for 80 without NET_BIND_SERVICE; `allowed` has that
capability; `annotated` has the annotation waypoint-inbound-binding NONE/10080.

Whether `refused` is refused depends on the container runtime: containerd 2 lets every process in a pod bind every port
(`enable_unprivileged_ports`), older ones do not.
"""

import pytest

from harness.experiments.node_permissions import check_privileged_port
from harness.http_exchange import get
from harness.waits import bind_to_waypoint

pytestmark = [
    pytest.mark.extended("Port 80"),
    pytest.mark.needs("waypoint kinds"),
    pytest.mark.timeout(300, func_only=True),
]
FORMS = ("shifted", "refused", "allowed", "annotated")


@pytest.fixture(scope="module")
def bound(applied, kube, proxy_of):
    """Four waypoints for port 80, Programmed, each with a bound Service."""
    bind_to_waypoint.bind_forms(kube, FORMS)
    return {form: proxy_of(f"waypoint-{form}") for form in FORMS}


@pytest.fixture(scope="module")
def privileged_ports(mesh_client):
    """A container runtime that lets no process in a pod bind port 80 without NET_BIND_SERVICE."""
    check_privileged_port(mesh_client.run_program, 80)


@pytest.mark.parametrize("form", FORMS)
def test_every_status_is_green(bound, read_condition, form, here):
    """Gateway waypoint-{form} is Programmed and Service ratings-{form} on port 80 has WaypointBound True, whether
    or not requests pass the waypoint."""
    assert read_condition(here(f"Gateway/default/waypoint-{form}"), "Programmed").state == "met"
    assert read_condition(here(f"Service/default/ratings-{form}"), "istio.io/WaypointBound").state == "met"


@pytest.mark.parametrize(("form", "port"), [("allowed", "80"), ("annotated", "10080")])
def test_calls_pass(bound, mesh_client, current_time, form, port):
    """Requests to port 80 of Service ratings-{form} return 200 through its waypoint, whose Envoy listens on port
    {port}."""
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, bound[form], f"http://ratings-{form}/ratings/0")
    since = current_time()
    answers = mesh_client.send_in_turn(get(f"http://ratings-{form}/ratings/0"), 3)

    lines = bound[form].wait_for_lines(answers, since)
    assert answers.statuses == [200] * 3
    assert {line.downstream_local_address.rpartition(":")[2] for line in lines} == {port}


def test_shifted_port_gets_no_request(bound, mesh_client, here):
    """Requests to a Service on port 80 get no response if its waypoint's Envoy listens on port 10080, the default
    for port 80."""
    with bound["shifted"].counting_requests_sent(here("httproute/default/ratings-shifted/rule/0")) as sent:
        answers = mesh_client.send_in_turn(get("http://ratings-shifted/ratings/0"), 3)

    assert answers.statuses == [None] * 3
    assert sent.moved == 0


def test_port_that_envoy_may_not_bind_gets_no_request(privileged_ports, bound, mesh_client, here):
    """Requests to a Service on port 80 get no response if its waypoint's Envoy lacks the capability to bind port 80."""
    with bound["refused"].counting_requests_sent(here("httproute/default/ratings-refused/rule/0")) as sent:
        answers = mesh_client.send_in_turn(get("http://ratings-refused/ratings/0"), 3)

    assert answers.statuses == [None] * 3
    assert sent.moved == 0


def test_listener_is_rejected_without_the_capability(privileged_ports, bound, here):
    """On nodes where ports below 1024 are privileged, a waypoint's Envoy without capability NET_BIND_SERVICE
    rejects its listener on port 80."""
    assert bound["refused"].read_rejected_resources() == [here("default/waypoint-refused/http")]


def test_listener_is_accepted_with_the_capability(bound):
    """A waypoint's Envoy with capability NET_BIND_SERVICE accepts its listener on port 80."""
    assert bound["allowed"].read_rejected_resources() == []
