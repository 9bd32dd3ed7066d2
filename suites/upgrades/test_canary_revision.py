"""Istio is upgraded by revision: a second istiod beside the first, then ztunnel, and back (UPGRADE_TO=istio-1.30.3).

Manifest: manifests/upgrades/canary_revision.yaml

In ambient mode the revision chooses the istiod that ztunnel is a client of; ztunnel moves on all nodes at once, and a
waypoint of Envoy Gateway is no client of istiod. Promise: as in a rolling restart (docs/outages.md).
"""

from dataclasses import dataclass

import pytest

from harness.disruption import canary_revision, version_upgrade
from harness.disruption.canary_revision import DEFAULT, REVISION
from harness.disruption.definition_upgrade import replace_definitions
from harness.http_exchange import Answers, get
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text
from harness.waits.responses import wait_for_response

pytestmark = [
    pytest.mark.extended("Upgrades"),
    pytest.mark.needs("load", "upgrade", "disruptive", "ztunnel log"),
    pytest.mark.timeout(900),
]
REQUEST, HEALTH = get("http://ratings:9080/ratings/0"), get("/health")
DETAILS = get("http://details:9080/details/0")
NEW_CONNECTIONS = UNCLOSED.allowed()  # as in test_there_and_back
PROMISE = "at most two new connections"
REJECTED = "connection closed due to policy rejection: explicitly denied by: default/details-closed"
ONE = pytest.mark.one_witness("an upgrade replaces ztunnel, and its log goes with it")


@dataclass(frozen=True)
class Canary:
    """Load while the second istiod was installed, while ztunnel moved to it, and on the way back; the proxies that were
    connected to each istiod after each; a request to details under the policy, and ztunnel's error."""

    installed: BackgroundLoad
    moved: BackgroundLoad
    back: BackgroundLoad
    nodes: int
    connected: tuple[dict[str, int], ...]
    denied: Answers
    error: str | None


@pytest.fixture(scope="module")
def sources(new_connections, keepalive, ingress_load):
    """New and keep-alive connections through the waypoint, and a client of the ingress."""
    return new_connections(REQUEST), keepalive(REQUEST), ingress_load(HEALTH)


@pytest.fixture(scope="module")
def canary(version_upgrade_plan, load, sources, applying, cluster, kube, istiod, ztunnel, mesh_client, current_time):
    """The newer definitions, a second istiod, ztunnel on it with a new policy, and back, under load at each step."""
    plan, nodes = version_upgrade_plan, len(ztunnel.read_pods())
    on_default, on_canary = {DEFAULT: nodes, REVISION: 0}, {DEFAULT: 0, REVISION: nodes}
    with (
        canary_revision.while_canary_is_allowed(cluster, plan),
        version_upgrade.while_upgraded(cluster, kube, plan),
    ):
        replace_definitions(cluster, kube, plan, plan.after)
        with load(*sources) as installed, installed.event(f"{plan.name}: istiod as revision {REVISION}", PROMISE):
            canary_revision.install_canary(cluster, kube, plan)
            beside = canary_revision.wait_for_connected(istiod, on_default)
        with load(*sources) as moved, moved.event(f"{plan.name}: ztunnel to the revision", PROMISE):
            canary_revision.move_data_plane(cluster, kube, plan, plan.after, REVISION)
            there = canary_revision.wait_for_connected(istiod, on_canary)
        with applying("upgrades/canary_revision.yaml"):
            wait_for_response(mesh_client, DETAILS, status=None)
            since = current_time()
            denied = mesh_client.send_in_turn(DETAILS)
            (out,) = ztunnel.wait_for_connections(denied, since)
            error = ztunnel.wait_for_destination_line(since, out).error
        with load(*sources) as back, back.event(f"{plan.name}: ztunnel back", PROMISE):
            canary_revision.move_data_plane(cluster, kube, plan, plan.before, DEFAULT)
            again = canary_revision.wait_for_connected(istiod, on_default)
        yield Canary(installed, moved, back, nodes, (beside, there, again), denied, error)


@ONE
def test_canary_istiod_serves_nobody_at_first(canary):
    """A second istiod of a newer version, installed as a revision, has no ztunnel as a client, and no request fails."""
    new, kept, outside = canary.installed.timelines

    assert canary.connected[0] == {DEFAULT: canary.nodes, REVISION: 0}
    assert (new.lost, kept.lost, outside.lost) == ((), (), ()), canary.installed.text


@ONE
def test_ztunnel_moves_to_the_revision(canary):
    """If its release names a revision, each ztunnel connects to that istiod, and at most 2 new connections fail."""
    new, kept, outside = canary.moved.timelines

    assert canary.connected[1] == {DEFAULT: 0, REVISION: canary.nodes}
    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert (kept.lost, outside.lost) == ((), ()), canary.moved.text


def test_canary_istiod_configures_ztunnel(canary):
    """An AuthorizationPolicy applied while ztunnel is a client of the canary istiod is enforced by ztunnel."""
    assert canary.denied.statuses == [None]
    assert canary.error == REJECTED


@ONE
def test_ztunnel_moves_back(canary):
    """Without the revision, each ztunnel connects to the first istiod again, and at most 2 new connections fail."""
    new, kept, outside = canary.back.timelines

    assert canary.connected[2] == {DEFAULT: canary.nodes, REVISION: 0}
    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert (kept.lost, outside.lost) == ((), ()), canary.back.text
