"""A Service of port 80 behind a waypoint: ztunnel goes to the Service's port, where Envoy does not listen by itself.

Manifest: manifests/isolation/port_80.yaml    Article: none (stack-facts 0.8)
"""

import pytest

from harness.stack import topology
from harness.traffic import get

pytestmark = [pytest.mark.extended("Port 80"), pytest.mark.needs("waypoint kinds"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def bound(applied, kube, proxy_of):
    """Two waypoints of port 80, each with its Service: Envoy's listener shifted to 10080, and not."""
    proxies = {}
    for form in ("shifted", "unshifted"):
        topology.gateway(kube, f"waypoint-{form}", f"ratings-{form}")
        topology.bind(kube, f"ratings-{form}", f"waypoint-{form}")
        proxies[form] = proxy_of(f"waypoint-{form}")
    return proxies


def test_container_port_lets_calls_pass(bound, mesh_client, since):
    """With useListenerPortAsContainerPort Envoy listens on 80 itself, and calls pass the waypoint."""
    topology.passes(mesh_client, bound["unshifted"], "http://ratings-unshifted/ratings/0")
    answers = mesh_client.in_turn(get("http://ratings-unshifted/ratings/0"), 3)

    assert answers.statuses == [200] * 3
    assert {line.downstream_local_address.rpartition(":")[2] for line in bound["unshifted"].lines_of(answers, since)} == {
        "80"
    }


def test_shifted_port_is_never_reached(bound, mesh_client, says, since):
    """Without it every call ends unanswered though all is bound and programmed: nobody listens on port 80."""
    answers = mesh_client.in_turn(get("http://ratings-shifted/ratings/0"), 3)

    assert says("Service/default/ratings-shifted", "istio.io/WaypointBound").state == "met"
    assert says("Gateway/default/waypoint-shifted", "Programmed").state == "met"
    assert answers.statuses == [None] * 3
    assert bound["shifted"].silent_about(answers, since)
