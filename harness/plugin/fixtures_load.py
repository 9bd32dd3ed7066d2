"""Fixtures for tests under load: background load, and a healthy stack afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.cluster.protocol import Cluster, Release
from harness.components import Envoy, Ztunnels
from harness.disruption import stack_recovery, version_upgrade
from harness.disruption.requested_upgrade import VersionUpgrade, plan_upgrade
from harness.install import installation
from harness.install.releases import make_releases
from harness.kube import Kube
from harness.load.background_load import BackgroundLoad, while_load_runs
from harness.load.sources import IngressLoad, MeshLoad
from harness.objects.namespace_mapping import Placement
from harness.offline_bundle import Bundle
from harness.plugin.needs import check_judged
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests
from harness.version_sets import VersionSet
from harness.waits import envoy_config

RATINGS = "http://ratings:9080/ratings/0"


@pytest.fixture(scope="session")
def new_connections(idle_timeout_policy: None, kube: Kube) -> Callable[..., MeshLoad]:
    """`new_connections(get(url))`: load from inside the mesh, a connection for each request."""
    return partial(MeshLoad, kube, keep=False)


@pytest.fixture(scope="session")
def keepalive(idle_timeout_policy: None, kube: Kube) -> Callable[..., MeshLoad]:
    """`keepalive(get(url))`: load from inside the mesh over connections that are reused until they break."""
    return partial(MeshLoad, kube, keep=True)


@pytest.fixture(scope="session")
def ingress_load(idle_timeout_policy: None, ingress: IngressClient) -> Callable[..., IngressLoad]:
    """`ingress_load(get(path))`: load from outside through the ingress (`ingress=`: another), a connection each."""
    return lambda request, *, ingress=ingress, **more: IngressLoad(ingress, request, **more)


@pytest.fixture(scope="module")
def load(short_idle_timeout: None, restored_stack: None) -> Callable[..., AbstractContextManager[BackgroundLoad]]:
    """`with load(new_connections(request)) as flow:` runs beside the block; `flow.timelines` after it."""
    return while_load_runs


@pytest.fixture(scope="session")
def idle_timeout_policy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """the policy of `short_idle_timeout`; applied before its Gateways are made it is in their first configuration, else
    Envoy takes 15 s to it. So early that a cluster without load is asked here, before a test's mark is."""
    check_judged(cluster, "load")
    request.getfixturevalue("stack")
    manifests: Manifests = request.getfixturevalue("manifests")
    with manifests.while_applied("resilience/idle_connections.yaml"):
        yield


@pytest.fixture(scope="session")
def short_idle_timeout(idle_timeout_policy: None, kube: Kube, waypoint: Envoy, ingress_gateway: Envoy) -> None:
    """Both proxies let go of idle connections before their backends do, seen to be in force."""
    envoy_config.wait_for_idle_timeout(waypoint, f"httproute/{kube.namespace}/ratings/rule/0")
    envoy_config.wait_for_idle_timeout(ingress_gateway, f"httproute/{kube.namespace}/ingress-bookinfo/rule/0")


@pytest.fixture(scope="module")
def restored_stack(kube: Kube, mesh_client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy) -> Iterator[None]:
    """After the file every part of the stack is ready, and a call passes the waypoint: awaited, whatever failed."""
    yield
    stack_recovery.repair_stack(kube, mesh_client, ztunnel, waypoint, RATINGS)


@pytest.fixture(scope="session")
def version_upgrade_plan(
    stack: None,
    settings: Settings,
    version_set: VersionSet,
    bundle: Bundle | None,
    cluster: Cluster,
    placement: Placement,
) -> VersionUpgrade:
    """The upgrade that UPGRADE_TO= names, its images loaded."""
    found = plan_upgrade(
        version_set,
        settings.upgrade_to,
        lambda row: make_releases(row, bundle, replicas=settings.replicas),
        lambda row: installation.envoy_proxies(row, placement, settings.replicas),
        bundle,
    )
    version_upgrade.load_images(cluster, found)
    return found


@pytest.fixture(scope="session")
def helm_releases(
    stack: None, version_set: VersionSet, bundle: Bundle | None, settings: Settings
) -> dict[str, Release]:
    """The releases that the stack was installed with, by chart."""
    return make_releases(version_set, bundle, replicas=settings.replicas)
