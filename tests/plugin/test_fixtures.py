"""The fixtures' own few lines; what they stand up has its tests beside it."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from harness import cluster_records, version_sets
from harness.errors import NotAllowed
from harness.kube import Kube, ObjectMissing
from harness.objects.namespace_mapping import Placement
from harness.oracles.shared_cluster_scope import EVERYTHING
from harness.plugin import fixtures, fixtures_observation
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests
from harness.undo.undo_log import UndoLog
from harness.wait import set_patience
from harness.waits import policy_propagation
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock
from tests.fakes.cluster import FakeCluster

LEFT = named("Service/default/left")


def body(fixture: Any) -> Any:
    """The function itself: pytest has no public word for it."""
    return fixture._get_wrapped_function()


def test_what_a_killed_run_left_goes_before_the_stack_stands(kube: Kube, api: FakeApi) -> None:
    """Nothing of it is taken for what was there before."""
    cluster = FakeCluster(kube.kubeconfig)
    UndoLog(cluster.home / cluster_records.APPLIED).remember(kube, [LEFT])
    api.put(LEFT, named("Service/default/theirs"))

    body(fixtures.leftovers_undone)(cluster, kube)

    assert set(api.objects) == {"Service/default/theirs"}
    assert "leftovers_undone" in inspect.signature(body(fixtures.stack)).parameters


@pytest.mark.parametrize(
    ("left", "patience", "slept"), [(100, 1, [101]), (121, 1, []), (100, 0.1, []), (11, 0.1, [12]), (200, 2, [201])]
)
def test_end_of_the_hour_is_awaited_by_the_runs_patience(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, left: float, patience: float, slept: list[float]
) -> None:
    """What takes longer needs more of the hour; where little is awaited, little of it is needed."""
    monkeypatch.setattr(policy_propagation, "seconds_left", lambda *_: left)
    set_patience(patience)

    body(fixtures.rate_limit_window)()

    assert clock.sleeps == slept


@pytest.mark.parametrize("installs", [False, True])
def test_what_is_judged_in_somebodys_cluster_is_what_was_applied_and_installed(kube: Kube, installs: bool) -> None:
    """It grows with what is applied, and stays ours when that was taken away; in a cluster of our own all is judged."""
    placement = Placement("team-a")
    cluster, settings = FakeCluster(kube.kubeconfig, "existing"), Settings(install=installs)
    manifests = Manifests(kube, version_sets.load().pick(), UndoLog(cluster.home / cluster_records.APPLIED), placement)
    ours = body(fixtures_observation.oracle_scope)(cluster, manifests, settings)
    installed = {"istio-system", "envoy-gateway-system", "redis-system"} if installs else set()

    before = ours()
    with manifests.while_applied("ingress/gateway.yaml"):
        pass

    assert (before.everything, before.namespaces) == (False, installed)
    assert ours().namespaces == installed | {"team-a"}
    assert ours().gateways == {("team-a", "bookinfo-ingress")}
    assert body(fixtures_observation.oracle_scope)(FakeCluster(kube.kubeconfig), manifests, settings)() == EVERYTHING


@pytest.mark.parametrize(("lacking", "refused"), [({"disruptive": "not ours"}, True), ({}, False)])
def test_client_is_limited_where_the_cluster_says_so(kube: Kube, lacking: dict[str, str], refused: bool) -> None:
    """What suites get by the name `kube` touches others only where that is allowed."""
    cluster = FakeCluster(kube.kubeconfig)
    cluster.cannot_judge = lacking
    found = next(body(fixtures.kube)(cluster, Settings(namespace="team-a"), SimpleNamespace(stash=pytest.Stash())))

    for others in ("Deployment/istio-system/istiod", "Service/default/ratings"):
        with pytest.raises(NotAllowed) if refused else pytest.raises(ObjectMissing):
            found.patch(others, {"spec": {"replicas": 0}})
    with pytest.raises(ObjectMissing):
        found.patch("Service/team-a/ratings", {"spec": {}})
