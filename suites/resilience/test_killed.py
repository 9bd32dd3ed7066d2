"""ztunnel is killed, routes change before it is back, then the waypoint pods are deleted, in two forms of waypoint.

Manifests: manifests/waypoint/form_binding.yaml, form_listener.yaml    See docs/port-15008.md
Promise: with the annotation (form `binding`) requests fail until ztunnel runs again, for at most 10 s. In the article's
form (`listener`) all requests fail until the waypoint pod is deleted, because Envoy holds port 15008, which ztunnel
needs; no condition shows this. A deleted pod of a single replica interrupts its traffic for at most 30 s.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import hbone_port_takeover
from harness.http_exchange import get
from harness.load.background_load import Flow
from harness.load.timeline_text import picture
from harness.wait import pause
from harness.waits import gateways, waypoints

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "disruptive")]
KILLED, DELETED = "ztunnel killed, routes edited", "waypoint pods deleted"
KILLED_MS, DELETED_MS = 10_000, 30_000  # 1 s to 6 s seen, and 10 s to 12 s
FORMS = ("binding", "listener")


@dataclass(frozen=True)
class Killed:
    """The load; what ztunnel and the Gateway reported while all requests of form `listener` failed; and where ztunnel
    sent connections to the other form's Service from then on."""

    flow: Flow
    told: str
    green: str
    ways: set[str]


@pytest.fixture(scope="module")
def bound(whole_again, applying, kube, proxy_of, mesh_client):
    """The waypoints of both forms, each bound to a Service of its own, once they carry requests."""
    with applying("waypoint/form_binding.yaml", "waypoint/form_listener.yaml"):
        for name in FORMS:
            gateways.wait_for_gateway(kube, f"waypoint-{name}", f"ratings-{name}")
            waypoints.bind_service(kube, f"ratings-{name}", f"waypoint-{name}")
            waypoints.wait_for_waypoint_traffic(
                mesh_client, proxy_of(f"waypoint-{name}"), f"http://ratings-{name}:9080/ratings/0"
            )
        yield [proxy_of(f"waypoint-{name}") for name in FORMS]


@pytest.fixture(scope="module")
def killed(bound, load, anew, kept, kube, ztunnel, says, moment):
    """Requests through both waypoints while ztunnel is killed, one port is taken, and both pods are deleted."""
    request = get("http://ratings-binding:9080/ratings/0")
    sources = (
        anew(request, who="mesh client to form binding"),
        kept(request, who="mesh client to form binding"),
        anew(get("http://ratings-listener:9080/ratings/0"), qps=10, who="mesh client to form listener"),
    )
    with load(*sources) as flow:
        with flow.event(KILLED, "binding: at most 10 s; listener: until its pod is deleted"):
            hbone_port_takeover.let_envoy_take_port(kube, ztunnel, bound[1], "ratings-listener", "ratings-binding")
        pause(6, why="ztunnel tries again every 5 s")
        told, green = ztunnel.hindrance(), says("Gateway/default/waypoint-listener", "Programmed")
        since = moment()
        with flow.event(DELETED, "at most 30 s"):
            kube.delete([f"Pod/default/{envoy.name}" for envoy in bound])
            gateways.wait_for_proxy_pod(kube, "waypoint-binding")
            gateways.wait_for_proxy_pod(kube, "waypoint-listener")
    return Killed(flow, told, green.state, ztunnel.ways(since, "ratings-binding"))


def test_new_connections_are_served_again(killed):
    """After ztunnel is killed, new connections to the waypoint without port 15008 fail for at most 10 seconds."""
    anew = killed.flow.timelines[0].about(killed.flow.events[0])

    assert anew.lost, "nobody noticed: what was killed did not carry this"
    assert anew.outage_ms <= KILLED_MS, picture(anew)
    assert anew.recovered(KILLED) <= 2, picture(anew)


def test_kept_connections_are_served_again(killed):
    """After ztunnel is killed, keep-alive clients of the waypoint without port 15008 fail for at most 10 seconds."""
    kept = killed.flow.timelines[1].about(killed.flow.events[0])

    assert kept.outage_ms <= KILLED_MS, picture(kept)
    assert kept.recovered(KILLED) <= 2, picture(kept)


def test_no_call_is_served_until_the_pod_is_deleted(killed):
    """After ztunnel is killed, all requests to the waypoint with listener 15008 fail until its pod is deleted."""
    (first, deleted), (_, _, listener) = killed.flow.events, killed.flow.timelines
    between = listener.between(first.ended, deleted.began)

    assert len(between.lost) == between.sent, picture(listener)
    assert ("[::]:15008" in killed.told, killed.green) == (True, "met"), killed.told
    assert listener.recovered(DELETED) <= 2, picture(listener)


def test_deleted_waypoint_is_replaced(killed):
    """Deleting the waypoint pod fails requests for at most 30 seconds, and no connection bypasses the waypoint."""
    anew = killed.flow.timelines[0].about(killed.flow.events[1])

    assert killed.ways == {"waypoint-binding"}
    assert 0 < anew.outage_ms <= DELETED_MS, picture(anew)
    assert anew.recovered(DELETED) <= 2, picture(anew)
