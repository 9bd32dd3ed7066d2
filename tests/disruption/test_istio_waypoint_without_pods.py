"""Istio's own waypoint: emptied for a while, and why it does not start."""

from datetime import UTC, datetime
from typing import Any

import pytest

from harness.disruption import istio_waypoint_without_pods
from harness.errors import CannotJudge, NotReady, Terminal
from harness.kube import Kube
from harness.wait import set_patience
from tests.fakes.api import FakeApi, Seen
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
