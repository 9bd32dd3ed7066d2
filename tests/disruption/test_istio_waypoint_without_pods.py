"""Istio's own waypoint: emptied for a while, and why it does not start."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from harness import observations
from harness.disruption import istio_waypoint_without_pods
from harness.errors import CannotJudge, NotReady, Terminal
from harness.kube import Kube
from harness.undo.temporary_changes import Manifests
from harness.wait import set_patience
from tests.fakes.api import Exec, FakeApi, Seen, named
from tests.fakes.clock import Clock
from tests.fakes.pods import PULL, deployment, pod, waiting

LABELS = {"gateway.networking.k8s.io/gateway-name": "byo-waypoint"}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def stood(api: FakeApi, clock: Clock) -> None:
    """Its Deployment and its pod; the pod goes when none is wanted any more."""
    set_patience(0.1)
    api.put(deployment("default/byo-waypoint-istio", ready=1, labels=LABELS), pod("default/byo-1", labels=LABELS))


@pytest.mark.parametrize("raises", [False, True])
def test_emptied_for_a_while(kube: Kube, api: FakeApi, stood: None, raises: bool) -> None:
    """Within the block it has no pod and is to have none; afterwards one is wanted again, also if the block raised."""
    real = api.answer

    def answer(seen: Seen) -> tuple[int, Any]:
        if seen.method == "PATCH" and seen.body["spec"]["replicas"] == 0:
            del api.objects["Pod/default/byo-1"]
        return real(seen)

    def replicas() -> int:
        return int(api.objects["Deployment/default/byo-waypoint-istio"]["spec"]["replicas"])

    api.answer = answer  # type: ignore[method-assign]  # for this test
    try:
        with istio_waypoint_without_pods.while_without_pods(kube):
            within = replicas()
            if raises:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert raises

    assert (within, replicas()) == (0, 1)


def test_pod_that_stays_is_told_and_it_is_filled_again(kube: Kube, api: FakeApi, stood: None) -> None:
    """A block of a waypoint that still has a pod does not begin."""
    with pytest.raises(NotReady, match="has no ready pod left"), istio_waypoint_without_pods.while_without_pods(kube):
        raise AssertionError("it is not empty")

    assert api.objects["Deployment/default/byo-waypoint-istio"]["spec"]["replicas"] == 1


def test_ready_proxy_lacks_no_image(kube: Kube, stood: None) -> None:
    """The wait ends at once."""
    istio_waypoint_without_pods.wait_for_start(kube)


def test_image_that_cannot_be_had_is_said(kube: Kube, api: FakeApi, stood: None) -> None:
    """A bundle may lack it: what needs the proxy cannot be judged."""
    api.put(deployment("default/byo-waypoint-istio", labels=LABELS))
    api.put(waiting("default/byo-1", "ImagePullBackOff", PULL, labels=LABELS))

    with pytest.raises(CannotJudge, match="ImagePullBackOff"):
        istio_waypoint_without_pods.wait_for_start(kube)


def test_other_trouble_is_no_missing_image(kube: Kube, api: FakeApi, stood: None) -> None:
    """A proxy that crashes is broken, whatever its image."""
    api.put(deployment("default/byo-waypoint-istio", labels=LABELS))
    api.put(waiting("default/byo-1", "CrashLoopBackOff", "back-off 10s", labels=LABELS))

    with pytest.raises(Terminal, match="CrashLoopBackOff"):
        istio_waypoint_without_pods.wait_for_start(kube)


@pytest.mark.parametrize(
    ("extension", "who"), [("istio.stats", "Istio's proxy"), ("envoy.filters.http.router", "a stand-in for Istio's")]
)
def test_build_is_recorded(kube: Kube, api: FakeApi, stood: None, extension: str, who: str) -> None:
    """Istio's own Envoy has extensions that no other has; its version is what it says."""
    info = {"version": "abc/1.37.0/Clean/RELEASE/BoringSSL", "node": {"extensions": [{"name": extension}]}}
    api.execute = lambda argv: Exec(json.dumps(info) if argv[-1] == "server_info" else "")

    istio_waypoint_without_pods.record_build(kube)

    (seen,) = observations.current().sightings[-1:]
    (asked,) = api.asked("GET", "/exec")
    assert asked.path.endswith("/namespaces/default/pods/byo-1/exec")
    assert who in seen.who
    assert seen.what == info["version"]


def test_waypoint_is_awaited_with_the_variable_and_without(kube: Kube, api: FakeApi, manifests: Manifests) -> None:
    """Until all pods have it, and then until none has; meanwhile the Gateway refers to the ConfigMap."""
    api.put(named("Gateway/default/byo-waypoint", spec={"gatewayClassName": "istio"}))
    api.put(pod("default/byo-1", labels=LABELS))
    real = api.answer

    def answer(seen: Seen) -> tuple[int, Any]:
        result = real(seen)
        if seen.method in ("PATCH", "PUT") and "byo-waypoint" in seen.path:
            referred = "infrastructure" in api.objects["Gateway/default/byo-waypoint"]["spec"]
            one = pod("default/byo-1", labels=LABELS)
            one["spec"]["containers"][0]["env"] = [{"name": "ISTIO_META_DISABLE_HBONE_SEND"}] if referred else []
            api.put(one)
        return result

    api.answer = answer  # type: ignore[method-assign]  # for this test
    with istio_waypoint_without_pods.while_sending_no_hbone(manifests, kube):
        within = api.objects["Gateway/default/byo-waypoint"]["spec"]["infrastructure"]["parametersRef"]["name"]

    assert within == "byo-waypoint"
    assert api.objects["Gateway/default/byo-waypoint"]["spec"] == {"gatewayClassName": "istio"}
