"""Fixtures of tests under load: steady traffic beside the test's act, and a stack that is whole again after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy, Ztunnels
from harness.kube import Kube
from harness.load.generator import Flow, Mesh, Outside, flowing
from harness.stack import disturb
from harness.stack.applied import Manifests

RATINGS = "http://ratings:9080/ratings/0"


@pytest.fixture(scope="session")
def anew(stack: None, kube: Kube) -> Callable[..., Mesh]:
    """`anew(get(url))`: load from inside the mesh, a connection for each request."""
    return partial(Mesh, kube, keep=False)


@pytest.fixture(scope="session")
def kept(stack: None, kube: Kube) -> Callable[..., Mesh]:
    """`kept(get(url))`: load from inside the mesh over connections that are reused until they break."""
    return partial(Mesh, kube, keep=True)


@pytest.fixture(scope="session")
def outside(ingress: IngressClient) -> Callable[..., Outside]:
    """`outside(get(path))`: load from outside through the ingress, a connection for each request."""
    return partial(Outside, ingress)


@pytest.fixture
def load(idle_connections: None, whole_again: None) -> Callable[..., AbstractContextManager[Flow]]:
    """`with load(anew(request), seconds=20, promise="…") as flow:` runs beside the block; `flow.timelines` after it."""
    return flowing


@pytest.fixture(scope="session")
def idle_connections(waypoint: Envoy, ingress_gateway: Envoy, manifests: Manifests) -> Iterator[None]:
    """Both proxies let go of idle connections before their backends do, seen to be in force."""
    with manifests.applied("resilience/idle_connections.yaml"):
        disturb.lets_go(waypoint, "httproute/default/ratings/rule/0")
        disturb.lets_go(ingress_gateway, "httproute/default/ingress-bookinfo/rule/0")
        yield


@pytest.fixture
def whole_again(kube: Kube, mesh_client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy) -> Iterator[None]:
    """After the test every part of the stack is ready, and a call passes the waypoint: awaited, also if it failed."""
    yield
    disturb.whole(kube, mesh_client, ztunnel, waypoint, RATINGS)
