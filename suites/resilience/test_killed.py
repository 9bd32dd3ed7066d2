"""ztunnel is killed, routes change before it is back, then the waypoint pods are deleted, in two forms of waypoint.

Manifests: manifests/waypoint/form_binding.yaml, form_listener.yaml    See docs/port-15008.md
Promise: with the annotation (form `binding`) requests fail until ztunnel runs again, for at most 30 s. In the article's
form (`listener`) all requests fail until the waypoint pod is deleted, because Envoy holds port 15008, which ztunnel
needs; no condition shows this. A deleted pod of a single replica interrupts its traffic for at most 60 s. The reasons
for these budgets are in harness/load/outage_budgets.py.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import hbone_port_takeover
from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.outage_budgets import AFTER_READY, WAYPOINT_DELETED, ZTUNNEL_KILLED
from harness.load.timeline_text import timeline_as_text
from harness.wait import pause
from harness.waits import bind_to_waypoint, gateways, responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
KILLED, DELETED = "ztunnel killed, routes edited", "waypoint pods deleted"
FORMS = ("binding", "listener")


@dataclass(frozen=True)
class Killed:
    """The load; what ztunnel and the Gateway reported while all requests of form `listener` failed; and where ztunnel
    sent connections to the other form's Service from then on."""

    flow: BackgroundLoad
    conflict: str
    programmed: str
    ways: set[str]


@pytest.fixture(scope="module")
def bound(restored_stack, applying, kube, proxy_of, mesh_client):
    """The waypoints of both forms, each bound to a Service of its own, once they carry requests."""
    with applying("waypoint/form_binding.yaml", "waypoint/form_listener.yaml"):
        bind_to_waypoint.bind_forms(kube, FORMS)
        proxies = [proxy_of(f"waypoint-{form}") for form in FORMS]
        bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, proxies[0], "http://ratings-binding:9080/ratings/0")
        bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, proxies[1], "http://ratings-listener:9080/ratings/0")
        yield proxies


@pytest.fixture(scope="module")
def deleted_pods(
    bound, load, new_connections, keepalive, kube, ztunnel, mesh_client, read_condition, current_time, here
):
    """Requests through both waypoints while ztunnel is killed, one port is taken, and both pods are deleted."""
    request, of_listener = get("http://ratings-binding:9080/ratings/0"), get("http://ratings-listener:9080/ratings/0")
    sources = (
        new_connections(request, who="mesh client to form binding"),
        keepalive(request, who="mesh client to form binding"),
        new_connections(of_listener, qps=10, who="mesh client to form listener"),
    )
    with load(*sources) as background_load:
        with background_load.event(KILLED, "binding: at most 30 s; listener: until its pod is deleted"):
            hbone_port_takeover.let_envoy_take_port(kube, ztunnel, bound[1], "ratings-listener", "ratings-binding")
        pause(6, why="ztunnel tries again every 5 s")
        responses.wait_for_response(mesh_client, request, status=200)
        conflict = ztunnel.describe_port_conflict()
        programmed = read_condition(here("Gateway/default/waypoint-listener"), "Programmed")
        since = current_time()
        with background_load.event(DELETED, "at most 60 s"):
            kube.delete([here(f"Pod/default/{name}") for envoy in bound for name in envoy.names])
            gateways.wait_for_proxy_pod(kube, "waypoint-binding")
            gateways.wait_for_proxy_pod(kube, "waypoint-listener")
        responses.wait_for_response(mesh_client, request, status=200)
        responses.wait_for_response(mesh_client, of_listener, status=200)
    return Killed(background_load, conflict, programmed.state, ztunnel.read_destinations(since, "ratings-binding"))


def test_new_connections_are_served_again(deleted_pods):
    """When ztunnel is killed, requests on new connections through Gateway waypoint-binding fail for at most 30 s."""
    new_connections = deleted_pods.flow.timelines[0].until_next_event(deleted_pods.flow.events[0])
    keepalive = deleted_pods.flow.timelines[1].until_next_event(deleted_pods.flow.events[0])

    assert new_connections.lost or keepalive.lost, "no request was lost: what was killed did not carry this load"
    assert new_connections.outage_ms <= ZTUNNEL_KILLED.seconds * 1000, (
        f"{ZTUNNEL_KILLED}\n{timeline_as_text(new_connections)}"
    )
    assert new_connections.seconds_to_recover(KILLED) <= AFTER_READY.seconds, (
        f"{AFTER_READY}\n{timeline_as_text(new_connections)}"
    )


def test_kept_connections_are_served_again(deleted_pods):
    """When ztunnel is killed, requests on keep-alive connections through Gateway waypoint-binding fail for at most
    30 s."""
    keepalive = deleted_pods.flow.timelines[1].until_next_event(deleted_pods.flow.events[0])

    assert keepalive.outage_ms <= ZTUNNEL_KILLED.seconds * 1000, f"{ZTUNNEL_KILLED}\n{timeline_as_text(keepalive)}"
    assert keepalive.seconds_to_recover(KILLED) <= AFTER_READY.seconds, f"{AFTER_READY}\n{timeline_as_text(keepalive)}"


def test_no_call_is_served_until_the_pod_is_deleted(deleted_pods):
    """When ztunnel is killed, all requests through a waypoint with a listener on port 15008 fail until the waypoint
    pod is deleted."""
    (first, deleted), (_, _, listener) = deleted_pods.flow.events, deleted_pods.flow.timelines
    between = listener.between(first.ended, deleted.began)

    assert len(between.lost) == between.sent, timeline_as_text(listener)
    assert ("[::]:15008" in deleted_pods.conflict, deleted_pods.programmed) == (True, "met"), deleted_pods.conflict
    assert listener.seconds_to_recover(DELETED) <= AFTER_READY.seconds, f"{AFTER_READY}\n{timeline_as_text(listener)}"


def test_deleted_waypoint_is_replaced(deleted_pods):
    """When the pod of Gateway waypoint-binding is deleted, requests fail for at most 60 s, and none bypasses the
    waypoint."""
    new_connections = deleted_pods.flow.timelines[0].until_next_event(deleted_pods.flow.events[1])

    assert deleted_pods.ways == {"waypoint-binding"}
    picture = timeline_as_text(new_connections)
    assert 0 < new_connections.outage_ms <= WAYPOINT_DELETED.seconds * 1000, f"{WAYPOINT_DELETED}\n{picture}"
    assert new_connections.seconds_to_recover(DELETED) <= AFTER_READY.seconds, f"{AFTER_READY}\n{picture}"
