"""Pods and rollouts, on the statuses that kubelet and the scheduler wrote."""

import copy
from typing import Any

import pytest
from hypothesis import given

from harness.objects.workloads import RolloutProgress, find_trouble, is_pod_ready, rollout_progress
from tests.recordings import obj, objects
from tests.recordings.shapes import fuzz, keyed

HOSTILE = keyed(
    *("kind", "metadata", "spec", "status", "phase", "conditions", "containerStatuses", "state", "lastState"),
    *("waiting", "terminated", "reason", "message", "restartCount", "Deployment", "DaemonSet", "CrashLoopBackOff"),
)


def waypoint_pod() -> dict[str, Any]:
    """The healthy waypoint pod, free to be changed."""
    return next(copy.deepcopy(p) for name, p in objects("objects/pods.yaml").items() if name.startswith("waypoint"))


def test_unknown_image_is_trouble_with_its_cause() -> None:
    """The cause that `helm --wait` does not see: who, which image, and containerd's own words."""
    (found,) = find_trouble(obj("negative/pod-neg-image.yaml"))

    assert (found.pod, found.container, found.reason) == ("default/neg-image", "x", "ImagePullBackOff")
    assert found.image == "docker.io/nosuch/nosuch:1"
    assert "no such host" in found.text
    assert "\n" not in found.text


def test_pod_without_a_node_is_trouble() -> None:
    """Too large a request leaves the pod Pending, and the scheduler says which resource is short."""
    (found,) = find_trouble(obj("negative/pod-neg-cpu.yaml"))

    assert (found.reason, found.container) == ("Unschedulable", "")
    assert "Insufficient cpu" in found.text


def test_healthy_pod_has_no_trouble() -> None:
    """A running pod says nothing."""
    pod = waypoint_pod()

    assert is_pod_ready(pod)
    assert find_trouble(pod) == ()


@pytest.mark.parametrize("empty", [{}, {"status": {}}, {"status": None}])
def test_pod_without_status_is_not_ready(empty: dict[str, Any]) -> None:
    """Nothing seen is not ready, and not trouble either."""
    assert not is_pod_ready(empty)
    assert find_trouble(empty) == ()


def test_ztunnel_that_cannot_bind_is_running_but_not_ready() -> None:
    """The one object that shows a taken port 15008: 0/1 ready, no restart, nothing for kubelet to complain about."""
    pod = obj("eg-1.9.0/istio-system-pods.yaml")

    assert not is_pod_ready(pod)
    assert find_trouble(pod) == ()


def test_pod_that_is_being_deleted_is_not_ready() -> None:
    """A terminating pod keeps its Ready condition for a while."""
    pod = waypoint_pod()
    pod["metadata"]["deletionTimestamp"] = "2026-11-21T00:40:00Z"

    assert not is_pod_ready(pod)


def test_crash_loop_is_trouble_until_it_is_over() -> None:
    """The crash loop names the last exit, since kubelet's message does not."""
    pod = waypoint_pod()
    died = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    envoy = pod["status"]["containerStatuses"][0]
    envoy |= {
        "ready": False,
        "restartCount": 3,
        "lastState": died,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    }

    assert [(t.reason, t.message) for t in find_trouble(pod)] == [("CrashLoopBackOff", " (last exit 137 OOMKilled)")]

    envoy |= {"state": {"running": {}}}
    assert [t.reason for t in find_trouble(pod)] == ["OOMKilled"]

    envoy |= {"ready": True}
    assert find_trouble(pod) == ()


def test_evicted_pod_is_trouble() -> None:
    """A failed pod gives the reason of its status."""
    pod = {
        "metadata": {"namespace": "a", "name": "b"},
        "status": {"phase": "Failed", "reason": "Evicted", "message": "disk"},
    }

    assert [t.text for t in find_trouble(pod)] == ['Pod a/b: Evicted: "disk"']


def test_recorded_workloads_are_rolled_out() -> None:
    """One Deployment after an edit, one DaemonSet after two."""
    assert rollout_progress(objects("objects/deploy.yaml")["ratings-v1"]) == RolloutProgress(
        True, "1/1 ready, 1 updated"
    )
    assert rollout_progress(objects("objects/istio-system.yaml")["ztunnel"]) == RolloutProgress(
        True, "1/1 ready, 1 updated"
    )


def test_unobserved_spec_is_not_rolled_out() -> None:
    """Right after an edit all numbers are still those of the old spec."""
    deployment = copy.deepcopy(objects("objects/deploy.yaml")["ratings-v1"])
    deployment["metadata"]["generation"] = 3

    assert rollout_progress(deployment) == RolloutProgress(False, "1/1 ready, 1 updated (generation 3, observed 2)")


def deployment(wanted: int | None, **status: int) -> dict[str, Any]:
    return {"kind": "Deployment", "spec": {"replicas": wanted} if wanted is not None else {}, "status": status}


@pytest.mark.parametrize(
    ("workload", "progress"),
    [
        (
            deployment(3, replicas=4, updatedReplicas=1, readyReplicas=2, availableReplicas=2),
            (False, "2/3 ready, 1 updated, 1 old left"),
        ),
        (deployment(0), (False, "0/0 ready, 0 updated")),
        (deployment(0, replicas=1), (False, "0/0 ready, 0 updated, 1 old left")),
        (deployment(None), (False, "0/1 ready, 0 updated")),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 0}}, (False, "0/0 ready, 0 updated")),
        ({"kind": "DaemonSet"}, (False, "0/0 ready, 0 updated")),
    ],
)
def test_progress_counts_pods(workload: dict[str, Any], progress: tuple[bool, str]) -> None:
    """No pod wanted is never done: nothing serves."""
    assert rollout_progress(workload) == RolloutProgress(*progress)


def test_other_kinds_have_no_rollout() -> None:
    """Asking for a Service's rollout is a mistake in the test."""
    with pytest.raises(ValueError, match="Service default/ratings is neither"):
        rollout_progress({"kind": "Service", "metadata": {"namespace": "default", "name": "ratings"}})


@fuzz
@given(HOSTILE)
def test_any_json_object_can_be_read(value: object) -> None:
    """Statuses of any shape are read without an error."""
    pod = value if isinstance(value, dict) else {"status": value}

    assert isinstance(is_pod_ready(pod), bool)
    assert all(t.text for t in find_trouble(pod))
    rollout_progress({**pod, "kind": "Deployment"})
