"""Envoy takes port 15008 from ztunnel: all conditions stay True while all requests fail.

Manifest: manifests/journey/port_15008.yaml    Article: its TCP listener on 15008; docs/port-15008.md
"""

from dataclasses import dataclass

import pytest

from harness.disruption import hbone_port_takeover
from harness.errors import Terminal
from harness.evidence.hbone_port_conflict import REMEDY
from harness.experiments.journey_collector import JourneyCollector
from harness.experiments.logged_connections import send_logged
from harness.http_exchange import Answers, get
from harness.oracles.collector import OracleCollector
from harness.oracles.signs import Sign
from harness.waits import bind_to_waypoint, gateways

pytestmark = [pytest.mark.extended("Port 15008"), pytest.mark.timeout(600), pytest.mark.needs("disruptive")]
NAME, SERVICE = "waypoint-clash", "ratings-clash"
REQUEST = get(f"http://{SERVICE}:9080/ratings/0")


@dataclass(frozen=True)
class Clash:
    """Responses before, during and after; what was seen during: conditions, the journey's error, the oracles' signs."""

    pod: str  # "namespace/name"
    before: Answers
    during: Answers
    after: Answers
    statuses: dict[str, str]
    ready_nodes: set[str]
    nodes: set[str]
    journey: pytest.ExceptionInfo[Terminal]
    signs: tuple[Sign, ...]


@pytest.fixture(scope="module")
def port_conflict(applied, kube, admin, ztunnel, proxy_of, mesh_client, read_condition, current_time, here):
    """A waypoint of the article's form, whose ztunnel is killed while its route changes."""
    gateways.wait_for_gateway(kube, NAME, SERVICE)
    bind_to_waypoint.bind_service(kube, SERVICE, NAME)
    envoy = proxy_of(NAME)
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, REQUEST.url)
    watch, before = OracleCollector(kube, admin), send_logged(mesh_client, ztunnel, REQUEST, 3)
    pod = f"{envoy.namespace}/{envoy.name}"
    with hbone_port_takeover.while_envoy_has_port(kube, ztunnel, envoy, SERVICE):
        since = current_time()
        during = send_logged(mesh_client, ztunnel, REQUEST, 3)
        with pytest.raises(Terminal) as journey:
            JourneyCollector(kube, ztunnel, None, envoy).wait_for_journeys(during, since, via=lambda _: ("waypoint",))
        watch.collect()
        statuses = {
            f"{name} {type}": read_condition(name, type).state
            for name, type in (
                (here(f"Gateway/default/{NAME}"), "Accepted"),
                (here(f"Gateway/default/{NAME}"), "Programmed"),
                (here(f"HTTPRoute/default/{SERVICE}"), "Accepted"),
                (here(f"Service/default/{SERVICE}"), "istio.io/WaypointBound"),
            )
        }
        ready, nodes = ztunnel.read_ready_nodes(), {node["metadata"]["name"] for node in kube.list_objects("Node")}
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, REQUEST.url)
    after = send_logged(mesh_client, ztunnel, REQUEST, 3)
    return Clash(pod, before, during, after, statuses, ready, nodes, journey, watch.found)


def test_every_status_stays_green(port_conflict):
    """While the waypoint's Envoy holds port 15008 in place of ztunnel, all conditions of its Gateway, HTTPRoute and
    Service are True."""
    assert set(port_conflict.statuses.values()) == {"met"}, port_conflict.statuses


def test_every_call_is_reset(port_conflict):
    """Requests get no response while the waypoint's Envoy holds port 15008 in place of ztunnel, and return 200
    after the waypoint pod is deleted."""
    assert port_conflict.before.statuses == [200, 200, 200]
    assert port_conflict.during.statuses == [None, None, None]
    assert port_conflict.after.statuses == [200, 200, 200]


def test_ztunnel_of_its_node_is_not_ready(port_conflict):
    """While the waypoint's Envoy holds port 15008 in place of ztunnel, exactly one node has no ready ztunnel pod."""
    not_ready = sorted(port_conflict.nodes - port_conflict.ready_nodes)

    assert len(not_ready) == 1, f"nodes without a ready ztunnel pod: {not_ready}"


def test_journey_names_the_port_the_pod_and_the_remedy(port_conflict):
    """When a request fails because Envoy holds port 15008, this harness's error message names the port, the waypoint
    pod, and the remedy."""
    message = str(port_conflict.journey.value)

    assert (f"port 15008 of {port_conflict.pod}" in message, REMEDY in message) == (True, True), message


def test_oracle_names_the_port_the_pod_and_the_remedy(port_conflict):
    """While the waypoint's Envoy holds port 15008, this harness reports the port conflict, the waypoint pod, and
    the remedy to delete that pod."""
    signs = "\n".join(str(sign) for sign in port_conflict.signs if sign.oracle == "port")

    assert (f"port 15008 of {port_conflict.pod}" in signs, REMEDY in signs) == (True, True), signs
