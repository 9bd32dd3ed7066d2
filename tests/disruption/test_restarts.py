"""Workloads that are disturbed come back, also when the test fails; what still serves is not gone."""

import pytest

from harness import timeouts
from harness.disruption import restarts
from harness.errors import NotReady
from harness.kube import Kube
from harness.undo.temporary_changes import Manifests, undo_leftovers
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.pods import deployment, pod

LABELS = {"app": "x"}


def test_away_comes_back_although_the_test_failed(manifests: Manifests, api: FakeApi) -> None:
    api.put(deployment("default/x", ready=2, wanted=2, labels=LABELS))

    with (
        pytest.raises(AssertionError, match="the test"),
        restarts.while_scaled_to_zero(manifests, "Deployment/default/x"),
    ):
        raise AssertionError("the test")

    assert [seen.body["spec"]["replicas"] for seen in api.asked("PATCH", "deployments/x")] == [0, 2]


def test_away_comes_back_although_the_run_was_killed(manifests: Manifests, api: FakeApi) -> None:
    """Planted: SIGKILL in the block. The next run begins with as many as before."""
    api.put(deployment("default/x", ready=2, wanted=2, labels=LABELS))
    restarts.while_scaled_to_zero(manifests, "Deployment/default/x").__enter__()

    undo_leftovers(manifests.kube, manifests._made)

    assert api.objects["Deployment/default/x"]["spec"]["replicas"] == 2


def test_pods_on_their_way_out_are_not_away(manifests: Manifests, api: FakeApi, clock: Clock) -> None:
    """They still answer: a limiter that is terminating still limits."""
    leaving = pod("default/x-1", labels=LABELS)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(deployment("default/x", ready=1, labels=LABELS), leaving)

    with pytest.raises(NotReady, match="no pod left"), restarts.while_scaled_to_zero(manifests, "Deployment/default/x"):
        raise AssertionError("never reached")

    assert clock.slept >= timeouts.DISTURBED - 1


def test_without_grace_those_asked_to_end_are_ended(manifests: Manifests, api: FakeApi) -> None:
    """Scaling down has asked them already; the limiter would take its five minutes."""
    leaving = pod("default/x-1", labels=LABELS)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
    api.put(deployment("default/x", ready=1, labels=LABELS), leaving)

    with restarts.while_scaled_to_zero(manifests, "Deployment/default/x", grace=False):
        pass

    assert [seen.query.get("gracePeriodSeconds") for seen in api.asked("DELETE")] == ["0"]


def test_shot_deletes_every_pod_without_grace(kube: Kube, api: FakeApi) -> None:
    api.put(deployment("default/x", ready=2, wanted=2, labels=LABELS))
    api.put(pod("default/x-1", labels=LABELS), pod("default/x-2", labels=LABELS), pod("default/y", labels={"app": "y"}))

    assert restarts.force_delete_pods(kube, "Deployment/default/x") == {"x-1", "x-2"}
    assert kube.find("Pod/default/y") is not None
    assert [seen.query.get("gracePeriodSeconds") for seen in api.asked("DELETE")] == ["0", "0"]


def test_old_pod_that_is_still_there_is_no_replacement(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Planted: the pod that was shot is still reported, ready."""
    api.put(deployment("default/x", ready=1, labels=LABELS), pod("default/x-1", labels=LABELS))

    with pytest.raises(NotReady, match="1 new ready pods"):
        restarts.wait_for_new_pods(kube, "Deployment/default/x", {"x-1"})


def test_all_that_were_away_come_back(manifests: Manifests, api: FakeApi) -> None:
    """Side by side: none waits for another to be gone, or back."""
    api.put(deployment("default/x", ready=1), deployment("default/y", ready=1))

    with restarts.while_scaled_to_zero(manifests, "Deployment/default/x", "Deployment/default/y"):
        pass

    assert [seen.body["spec"]["replicas"] for seen in api.asked("PATCH", "deployments/")] == [0, 0, 1, 1]


def test_pod_of_before_that_still_ends_is_awaited(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Planted: a rollout that is done, and an old pod that still serves what it has."""
    leaving = pod("default/x-1", labels=LABELS)
    leaving["metadata"] |= {"deletionTimestamp": "2026-11-21T00:00:00Z", "uid": "1"}
    api.put(deployment("default/x", ready=1, labels=LABELS), leaving)

    with pytest.raises(NotReady, match="no old pod left"), restarts.while_replacing_pods(kube, "Deployment/default/x"):
        pass


def test_what_replaces_no_pod_renews_nothing(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Planted: an upgrade that changes nothing."""
    same = pod("default/x-1", labels=LABELS)
    same["metadata"]["uid"] = "1"
    api.put(deployment("default/x", ready=1, labels=LABELS), same)

    with pytest.raises(NotReady, match="no old pod left"):
        restarts.restart_rolling(kube, "Deployment/default/x")

    assert len(api.asked("PATCH", "deployments/x")) == 1
    assert not kube.wanted.removed  # or a cause would say that what the harness deleted exists again


def test_renewed_is_content_with_other_pods(kube: Kube, api: FakeApi) -> None:
    old, new = pod("default/x-1", labels=LABELS), pod("default/x-2", labels=LABELS)
    old["metadata"]["uid"], new["metadata"]["uid"] = "1", "2"
    api.put(deployment("default/x", ready=1, labels=LABELS), old)

    with restarts.while_replacing_pods(kube, "Deployment/default/x"):
        del api.objects["Pod/default/x-1"]
        api.put(new)

    assert kube.find("Pod/default/x-2") is not None
    assert kube.wanted.removed == {"Pod/default/x-1"}  # so that no cause says that others replaced it
