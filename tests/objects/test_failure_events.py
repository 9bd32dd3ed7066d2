"""Failures that only Events tell; texts as kubelet, the ReplicaSet controller and istio-cni write them."""

from typing import Any

import pytest

from harness import timeouts
from harness.objects.failure_events import find_event_trouble
from harness.objects.image_pulls import NEVER
from tests.fakes.pods import deployment, event, waiting

APP = {"app": "x"}
SANDBOX = 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "9": '
CNI = SANDBOX + 'plugin type="istio-cni" name="istio-cni" failed (add): '
KERNEL = CNI + (
    "istio-cni cmdAdd failed to contact node Istio CNI agent: unable to push CNI event (status code 500): pod add "
    "cannot be retried: exit status 2\nWarning: Extension CONNMARK revision 0 not supported, missing kernel module?"
)
NO_PLUGIN = SANDBOX + 'failed to find plugin "istio-cni" in path [/opt/cni/bin]'
NO_ZTUNNEL = CNI + "unable to push CNI event (status code 500): no ztunnel connection"
CONFIG_MAP = 'MountVolume.SetUp failed for volume "config" : configmap "missing" not found'
SECRET = 'MountVolume.SetUp failed for volume "certs" : secret "missing" not found'
ROOT_CERT = 'MountVolume.SetUp failed for volume "istiod-ca-cert" : configmap "istio-ca-root-cert" not found'


def creating(**status: Any) -> Any:
    made = waiting("default/x-1", "ContainerCreating", labels=APP)
    made["status"] |= status
    return made


@pytest.mark.parametrize(
    ("reason", "message", "stands"),
    [
        ("FailedCreatePodSandBox", KERNEL, timeouts.TROUBLE_GRACE),
        ("FailedCreatePodSandBox", NO_PLUGIN, timeouts.SANDBOX_GRACE),
        ("FailedCreatePodSandBox", NO_ZTUNNEL, timeouts.SANDBOX_GRACE),
        ("FailedMount", CONFIG_MAP, timeouts.MOUNT_GRACE),
        ("FailedMount", SECRET, timeouts.MOUNT_GRACE),
        ("FailedMount", ROOT_CERT, NEVER),
    ],
)
def test_pod_that_cannot_start(reason: str, message: str, stands: float) -> None:
    """The Event's words, and how long they must stand: what heals while the CNI or istiod starts stands longest."""
    (found,) = find_event_trouble(deployment("default/x"), [creating()], [event("Pod/default/x-1", reason, message)])

    assert (found.pod, found.reason, found.stands) == ("default/x-1", reason, stands)
    assert " ".join(message.split()) in found.text


def test_event_of_a_pod_that_got_its_sandbox_is_over() -> None:
    """An Event outlives what it reports: with a sandbox the pod waits for its image, not for its network."""
    events = [event("Pod/default/x-1", "FailedCreatePodSandBox", NO_PLUGIN)]
    sandbox = {"type": "PodReadyToStartContainers", "status": "True"}

    for status in ({"conditions": [sandbox]}, {"podIP": "10.0.0.1"}, {"phase": "Running"}):
        assert find_event_trouble(deployment("default/x"), [creating(**status)], events) == ()
    # In the host's network the pod has an address before it has a sandbox.
    unready = {"podIP": "172.18.0.2", "conditions": [sandbox | {"status": "False"}]}
    assert len(find_event_trouble(deployment("default/x"), [creating(**unready)], events)) == 1


def test_events_of_others_are_not_its() -> None:
    """Another pod, the same name with another uid, a Normal event: none is about this pod."""
    here = creating()
    here["metadata"]["uid"] = "1"
    events = [
        event("Pod/default/x-2", "FailedMount", CONFIG_MAP),
        event("Pod/default/x-1", "FailedMount", CONFIG_MAP, uid="2"),
        event("Pod/default/x-1", "FailedMount", CONFIG_MAP, uid="1") | {"type": "Normal"},
        event("Pod/default/x-1", "Unhealthy", "Readiness probe failed"),
    ]

    assert find_event_trouble(deployment("default/x"), [here], events) == ()


@pytest.mark.parametrize(
    ("maker", "message", "stands"),
    [
        ("ReplicaSet/default/x-5d4", 'pods "x-5d4-" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0',
         timeouts.TROUBLE_GRACE),
        ("ReplicaSet/default/x-5d4", 'pods "x-5d4-abc" is forbidden: violates PodSecurity "restricted:latest"',
         timeouts.TROUBLE_GRACE),
        ("ReplicaSet/default/x-5d4", 'pods "x-5d4-" is forbidden: error looking up service account default/x: '
         'serviceaccount "x" not found', timeouts.TROUBLE_GRACE),
        ("ReplicaSet/default/x-5d4", 'admission webhook "deny.example" denied the request: no', timeouts.TROUBLE_GRACE),
        ("ReplicaSet/default/x-5d4", 'Internal error occurred: failed calling webhook "rev.namespace.istio.io"'
         ': Post "https://istiod.istio-system.svc:443/inject": no endpoints available for service "istiod"', NEVER),
    ],
)  # fmt: skip
def test_pods_that_are_never_created(maker: str, message: str, stands: float) -> None:
    """A controller that may not create pods says so in Events alone; a webhook that is not up yet comes."""
    (found,) = find_event_trouble(deployment("default/x"), [], [event(maker, "FailedCreate", message)])

    assert (found.reason, found.stands) == ("FailedCreate", stands)
    assert "of Deployment default/x" in found.text
    assert message in found.text
    assert find_event_trouble(deployment("default/x"), [creating()], [event(maker, "FailedCreate", message)]) == ()


def test_failed_creation_of_an_earlier_workload_is_over() -> None:
    """An Event from before the workload was made is about one of its name that is gone; so is another's."""
    made = deployment("default/x")
    made["metadata"]["creationTimestamp"] = "2026-11-27T12:00:00Z"
    old = event("ReplicaSet/default/x-5d4", "FailedCreate", "exceeded quota", time="2026-11-27T11:59:59Z")
    new = event("ReplicaSet/default/x-5d4", "FailedCreate", "exceeded quota", time="2026-11-27T12:00:01.5Z")
    others = event("ReplicaSet/default/x-y-5d4", "FailedCreate", "exceeded quota", time="2026-11-27T12:00:01Z")

    assert find_event_trouble(made, [], [old, others]) == ()
    assert len(find_event_trouble(made, [], [old, new])) == 1
