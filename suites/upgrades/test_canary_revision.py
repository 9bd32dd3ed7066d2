"""Istio is upgraded by revision under load: a second istiod, then ztunnel, and back (UPGRADE_TO=istio-1.30.3).

Manifest: manifests/upgrades/canary_revision.yaml

A waypoint of Envoy Gateway does not connect to istiod, so only ztunnel moves. Promise: as in a rolling restart
(docs/outages.md).
"""

from dataclasses import dataclass

import pytest

from harness.disruption import canary_revision, version_upgrade
from harness.disruption.canary_revision import DEFAULT, REVISION, DataPlane
from harness.disruption.definition_upgrade import replace_definitions
from harness.experiments.authorization_denial import TIMES, Denial, Sent, send_around_denial
from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text
from harness.load.upgrade_losses import record_path

pytestmark = [
    pytest.mark.extended("Upgrades"),
    pytest.mark.needs("load", "upgrade", "disruptive", "ztunnel log"),
    pytest.mark.timeout(900),
]
REQUEST, HEALTH = get("http://ratings:9080/ratings/0"), get("/health")
DETAILS = get("http://details:9080/details/0")
NEW_CONNECTIONS = UNCLOSED.allowed()  # of a client that opens one for each request, as in a rolling restart
NOTHING, PROMISE = "no request is lost", "at most two new connections"
ORDER, NOT_COMPARED = "by revision", ("not compared",)
DENIED = "connection closed due to policy rejection: explicitly denied by: default/details-closed"
FIRST, SECOND = "istiod", f"istiod-{REVISION}"
ONE = pytest.mark.one_witness("an upgrade replaces ztunnel, and its log goes with it")


@dataclass(frozen=True)
class Canary:
    """The load of each step and the data plane after it: the second istiod is installed, ztunnel moves to it, ztunnel
    moves back. Before the last, requests under a policy that denies them."""

    installed: tuple[BackgroundLoad, DataPlane]
    moved: tuple[BackgroundLoad, DataPlane]
    back: tuple[BackgroundLoad, DataPlane]
    denial: tuple[Denial, DataPlane]


@pytest.fixture(scope="module")
def sources(new_connections, keepalive, ingress_load):
    """New and keep-alive connections through the waypoint, and a client of the ingress."""
    return new_connections(REQUEST), keepalive(REQUEST), ingress_load(HEALTH)


@pytest.fixture(scope="module")
def data_plane(kube, istiod, ztunnel):
    """`data_plane(revision)`: waits until every ztunnel is connected to the istiod of the revision."""
    return lambda revision: canary_revision.wait_for_data_plane(kube, istiod, ztunnel, revision)


@pytest.fixture(scope="module")
def canary(version_upgrade_plan, load, sources, data_plane, applying, cluster, kube, mesh_client, ztunnel):
    """The newer CRDs, a second istiod, ztunnel moved to it, a policy, and ztunnel moved back; each step under load."""
    plan = version_upgrade_plan
    with (
        canary_revision.uninstalling_canary(cluster, kube, plan),
        version_upgrade.while_upgraded(cluster, kube, plan),
    ):
        replace_definitions(cluster, kube, plan, plan.after)
        with load(*sources) as first, first.event(f"{plan.name}: istiod of revision {REVISION}", NOTHING):
            canary_revision.install_canary(cluster, kube, plan)
            installed = data_plane(DEFAULT)
        with load(*sources) as second, second.event(f"{plan.name}: ztunnel to revision {REVISION}", PROMISE):
            canary_revision.move_data_plane(cluster, kube, plan, plan.after, REVISION)
            moved = data_plane(REVISION)
        denial = send_around_denial(mesh_client, ztunnel, DETAILS, "details", applying("upgrades/canary_revision.yaml"))
        configured = data_plane(REVISION)
        with load(*sources) as third, third.event(f"{plan.name}: ztunnel back", PROMISE):
            canary_revision.move_data_plane(cluster, kube, plan, plan.before, DEFAULT)
            back = data_plane(DEFAULT)
        there = (*first.recorded_timelines, *second.recorded_timelines)
        record_path(plan.name, ORDER, there, rejected=0, changed=NOT_COMPARED)
        record_path(f"{plan.name}, back", ORDER, third.recorded_timelines, rejected=0, changed=NOT_COMPARED)
        yield Canary((first, installed), (second, moved), (third, back), (denial, configured))


@ONE
def test_second_istiod_changes_nothing(canary, version_upgrade_plan):
    """If istiod of a newer version is installed under another revision, every ztunnel stays connected to the first
    istiod, and no request fails."""
    load, found = canary.installed
    new, kept, outside = load.timelines

    assert (found.default, found.canary) == (len(found.istiods), 0)
    assert set(found.istiods) == {FIRST}
    assert found.versions == {version_upgrade_plan.before.istio}
    assert (new.lost, kept.lost, outside.lost) == ((), (), ()), load.text


@ONE
def test_ztunnel_moves_to_the_revision(canary, version_upgrade_plan):
    """If ztunnel is upgraded with the second istiod's revision, every ztunnel connects to that istiod, and at most 2
    requests on new connections fail."""
    load, found = canary.moved
    new, kept, outside = load.timelines

    assert (found.default, found.canary) == (0, len(found.istiods))
    assert set(found.istiods) == {SECOND}
    assert found.versions == {version_upgrade_plan.after.istio}
    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert (kept.lost, outside.lost) == ((), ()), load.text


def test_second_istiod_configures_ztunnel(canary):
    """While every ztunnel is connected to the istiod of the second revision, an AuthorizationPolicy is enforced by
    ztunnel, and no longer once it is deleted."""
    denial, found = canary.denial

    assert (found.default, set(found.istiods)) == (0, {SECOND})
    assert (denial.before.statuses, denial.after.statuses) == ([200] * TIMES, [200] * TIMES)
    assert (set(denial.before.errors), set(denial.after.errors)) == ({None}, {None})
    assert denial.under == Sent([None] * TIMES, [DENIED] * TIMES)


@ONE
def test_ztunnel_moves_back(canary, version_upgrade_plan):
    """If ztunnel is downgraded without a revision, every ztunnel connects to the first istiod again, and at most 2
    requests on new connections fail."""
    load, found = canary.back
    new, kept, outside = load.timelines

    assert (found.default, found.canary) == (len(found.istiods), 0)
    assert set(found.istiods) == {FIRST}
    assert found.versions == {version_upgrade_plan.before.istio}
    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert (kept.lost, outside.lost) == ((), ()), load.text
