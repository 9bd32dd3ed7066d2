"""Fixtures of tests under load: steady traffic, and a healthy stack afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from harness.bundle import Bundle
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.cluster.protocol import Cluster, Release
from harness.components import Envoy, Ztunnels
from harness.disruption import stack_recovery
from harness.install.releases import releases
from harness.kube import Kube
from harness.load.background_load import Flow, flowing
from harness.load.sources import Mesh, Outside
from harness.undo.temporary_changes import Manifests
from harness.versions import VersionSet
from harness.waits import envoy_config

RATINGS = "http://ratings:9080/ratings/0"


@pytest.fixture(scope="session")
def anew(early_policy: None, kube: Kube) -> Callable[..., Mesh]:
    """`anew(get(url))`: load from inside the mesh, a connection for each request."""
    return partial(Mesh, kube, keep=False)


@pytest.fixture(scope="session")
def kept(early_policy: None, kube: Kube) -> Callable[..., Mesh]:
    """`kept(get(url))`: load from inside the mesh over connections that are reused until they break."""
    return partial(Mesh, kube, keep=True)


@pytest.fixture(scope="session")
def outside(early_policy: None, ingress: IngressClient) -> Callable[..., Outside]:
    """`outside(get(path))`: load from outside through the ingress (`ingress=`: another), a connection each."""
    return lambda request, *, ingress=ingress, **more: Outside(ingress, request, **more)


@pytest.fixture(scope="module")
def load(idle_connections: None, whole_again: None) -> Callable[..., AbstractContextManager[Flow]]:
    """`with load(anew(request)) as flow:` runs beside the block; `flow.timelines` after it."""
    return flowing


@pytest.fixture(scope="session")
def early_policy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """The policy of `idle_connections`; applied before its Gateways are made it is in their first configuration, else
    Envoy takes 15 s to it. So early that a cluster without load is asked here, before a test's mark is."""
    if "load" in cluster.cannot_judge:
        pytest.skip(f"load: {cluster.cannot_judge['load']}")
    request.getfixturevalue("stack")
    manifests: Manifests = request.getfixturevalue("manifests")
    with manifests.applied("resilience/idle_connections.yaml"):
        yield


@pytest.fixture(scope="session")
def idle_connections(early_policy: None, waypoint: Envoy, ingress_gateway: Envoy) -> None:
    """Both proxies let go of idle connections before their backends do, seen to be in force."""
    envoy_config.wait_for_idle_timeout(waypoint, "httproute/default/ratings/rule/0")
    envoy_config.wait_for_idle_timeout(ingress_gateway, "httproute/default/ingress-bookinfo/rule/0")


@pytest.fixture(scope="module")
def whole_again(kube: Kube, mesh_client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy) -> Iterator[None]:
    """After the file every part of the stack is ready, and a call passes the waypoint: awaited, whatever failed."""
    yield
    stack_recovery.repair_stack(kube, mesh_client, ztunnel, waypoint, RATINGS)


@pytest.fixture(scope="session")
def charts(stack: None, version_set: VersionSet, bundle: Bundle | None) -> dict[str, Release]:
    """The releases that the stack was installed with, by chart."""
    return releases(version_set, bundle.charts if bundle else None)
