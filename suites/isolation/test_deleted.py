"""A waypoint that is deleted while a Service is bound to it: requests bypass it, without its policies.

Manifest: manifests/isolation/deleted.yaml    Article: none
"""

from dataclasses import dataclass

import pytest

from harness.http_exchange import get
from harness.objects.conditions import Condition
from harness.objects.workloads import pod_ip
from harness.waits import bind_to_waypoint, gateways, status
from harness.waits.responses import wait_for_response

pytestmark = pytest.mark.extended("Waypoint deleted")
REQUEST = get("http://ratings-orphan:9080/ratings/0")
UNROUTED = "http://ratings-orphan.default:9080/ratings/0"  # a name of the Service that the route leaves out


@dataclass(frozen=True)
class Orphaned:
    """istiod's condition after the Gateway was deleted; the waypoint's response to the unrouted host before."""

    refused: Condition
    before: set[tuple[int, str]]


@pytest.fixture(scope="module")
def deleted_waypoint(applied, kube, proxy_of, mesh_client, current_time, here):
    """Binds the Service and sends requests through its waypoint, then deletes the Gateway and waits for the effect."""
    gateways.wait_for_gateway(kube, "waypoint-orphan", "ratings-orphan")
    bind_to_waypoint.bind_service(kube, "ratings-orphan", "waypoint-orphan")
    envoy = proxy_of("waypoint-orphan")
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, REQUEST.url)
    unrouted, since = get(here(UNROUTED)), current_time()
    before = {(line.status, line.flags) for line in envoy.wait_for_lines(mesh_client.send_in_turn(unrouted, 3), since)}
    kube.delete([here("Gateway/default/waypoint-orphan")])
    refused = status.wait_for_false_condition(kube, here("Service/default/ratings-orphan"), "istio.io/WaypointBound")
    wait_for_response(mesh_client, unrouted, status=200)
    return Orphaned(refused, before)


def test_istiod_says_that_it_is_not_ready(deleted_waypoint):
    """A Service has condition WaypointBound False with reason WaypointIsNotReady after its waypoint Gateway is
    deleted."""
    assert deleted_waypoint.refused.reason == "WaypointIsNotReady"


def test_calls_go_past_where_it_was(deleted_waypoint, mesh_client, ztunnel, kube, since):
    """After its waypoint Gateway is deleted, requests to Service ratings return 200 over an HBONE connection
    directly to the ratings pod."""
    (pod,) = kube.list_pods(kube.namespace, "app=ratings")
    ip = pod_ip(pod)

    answers = mesh_client.send_in_turn(REQUEST, 5)

    assert answers.statuses == [200] * 5
    connections = ztunnel.wait_for_connections(answers, since)
    assert {(connection.dst.addr, connection.dst.hbone_addr) for connection in connections} == {
        (f"{ip}:15008", f"{ip}:9080")
    }


def test_what_it_kept_out_comes_in(deleted_waypoint, mesh_client, ztunnel, since, here):
    """Requests to a host name without a route return 404 at the waypoint, and 200 after the waypoint Gateway is
    deleted."""
    answers = mesh_client.send_in_turn(get(here(UNROUTED)), 5)

    assert deleted_waypoint.before == {(404, "NR")}
    assert answers.statuses == [200] * 5
    ztunnel.wait_for_connections(answers, since)
