"""ztunnel is killed, and a route changes before it is back, in two forms of the waypoint.

Manifests: manifests/waypoint/form_listener.yaml, form_binding.yaml    See docs/port-15008.md
Promise: with the annotation (`binding`) calls are served again within 10 s. In the article's form (`listener`) none is
ever again: Envoy then holds port 15008, which ztunnel needs, until the waypoint's pod is deleted; no status says so.
"""

import pytest

from harness.stack import disturb, topology
from harness.traffic import get
from harness.wait import pause

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
KILLED, DELETED = "ztunnel killed, route edited", "waypoint's pod deleted"
EDITS = 12  # in 5 s: ztunnel is back after 2


@pytest.fixture
def form(request, whole_again, applying, kube, proxy_of, mesh_client):
    """That form's waypoint, bound to a Service of its own, and seen to carry a call: its form, proxy and request."""
    name = request.param
    with applying(f"waypoint/form_{name}.yaml"):
        topology.gateway(kube, f"waypoint-{name}", f"ratings-{name}")
        topology.bind(kube, f"ratings-{name}", f"waypoint-{name}")
        envoy = proxy_of(f"waypoint-{name}")
        topology.passes(mesh_client, envoy, f"http://ratings-{name}:9080/ratings/0")
        yield name, envoy, get(f"http://ratings-{name}:9080/ratings/0")


@pytest.mark.parametrize("form", ["listener"], indirect=True)
def test_calls_are_served_again(form, load, anew, kube, ztunnel):
    """In the form without port 15008, calls are served again once ztunnel is back, whatever changed meanwhile."""
    name, _, request = form
    with load(anew(request), seconds=25, promise="at most 10 s") as flow, flow.event(f"{KILLED} ({name})"):
        disturb.shot(kube, disturb.ZTUNNEL)
        disturb.edited(kube, f"ratings-{name}", times=EDITS)

    assert flow.timeline.lost, "nobody noticed: what was killed did not carry this"
    assert flow.timeline.after(f"{KILLED} ({name})", settle=5).lost == (), disturb.port_taken(ztunnel)


@pytest.mark.parametrize("form", ["listener"], indirect=True)
def test_no_call_is_served_until_the_pod_is_deleted(form, load, anew, kube, ztunnel, says):
    """In the article's form every call is lost for good, all statuses True, until the waypoint's pod is deleted."""
    name, envoy, request = form
    with load(anew(request), seconds=45, promise="lost until the pod is deleted") as flow:
        with flow.event(f"{KILLED} ({name})"):
            disturb.shot(kube, disturb.ZTUNNEL)
            disturb.edited(kube, f"ratings-{name}", times=EDITS)
        pause(8, why="ztunnel tries again every 5 s")
        told, green = disturb.port_taken(ztunnel), says(f"Gateway/default/waypoint-{name}", "Programmed")
        with flow.event(DELETED):
            kube.delete([f"Pod/default/{envoy.name}"])
            topology.proxy(kube, f"waypoint-{name}")

    killed, deleted = flow.events
    between = flow.timeline.between(killed.ended, deleted.began)
    assert len(between.lost) == between.sent
    assert ("[::]:15008" in told, green.state) == (True, "met"), told
    assert flow.timeline.after(DELETED, settle=2).lost == (), flow.story
