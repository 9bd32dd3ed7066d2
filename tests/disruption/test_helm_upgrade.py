"""An upgrade that replaced no pod was none, and releases are put back whatever happened."""

import pytest

from harness.cluster.protocol import Release
from harness.disruption import helm_upgrade
from harness.errors import NotReady
from harness.install.releases import with_values
from harness.kube import Kube
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.cluster import FakeCluster
from tests.fakes.pods import deployment, pod

LABELS = {"app": "istiod"}
BEFORE = Release("istiod", "istiod.tgz", "1.29.1", "istio-system", {"env": {"A": "1"}, "profile": "ambient"})


@pytest.fixture
def cluster(kube: Kube, api: FakeApi) -> FakeCluster:
    """A cluster with istiod in it."""
    only = pod("istio-system/istiod-1", labels=LABELS)
    only["metadata"]["uid"] = "1"
    api.put(deployment("istio-system/istiod", ready=1, labels=LABELS), only)
    return FakeCluster(kube.kubeconfig)


def test_upgrade_that_replaces_no_pod_is_none(cluster: FakeCluster, kube: Kube, clock: Clock) -> None:
    """Planted: helm says yes, and nothing changes."""
    with pytest.raises(NotReady, match="no old pod left"):
        helm_upgrade.upgrade_releases(cluster, kube, BEFORE)  # type: ignore[arg-type]  # a stand-in

    assert cluster.calls == [("install", "istiod")]


def test_release_is_put_back_although_the_test_failed(cluster: FakeCluster, kube: Kube) -> None:
    with (
        pytest.raises(AssertionError, match="the test"),
        helm_upgrade.while_releases_change(cluster, kube, {"istiod": BEFORE}),  # type: ignore[arg-type]  # a stand-in
    ):
        raise AssertionError("the test")

    assert cluster.calls == [("install", "istiod")]


def test_changed_values_are_laid_over_the_release() -> None:
    after = with_values(BEFORE, {"env": {"B": "2"}})

    assert after.values == {"env": {"A": "1", "B": "2"}, "profile": "ambient"}
    assert BEFORE.values["env"] == {"A": "1"}
