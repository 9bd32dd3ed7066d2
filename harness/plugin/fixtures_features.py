"""Fixtures for tests of features: the echo backend, ingress or waypoint as the place, clients."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from harness.clients.certificates import Authority
from harness.clients.chromium import Browser, running
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.clients.service_address import open_address
from harness.cluster.protocol import Cluster
from harness.components import Echo, Envoy
from harness.components.otel_collector import OtelCollector
from harness.experiments.ingress_or_waypoint import Place
from harness.experiments.policy_trial import Tries
from harness.install.helper_images import load_helper_image
from harness.install.wasm_images import copy_module
from harness.kube import Kube
from harness.offline_bundle import Bundle
from harness.plugin.fixtures import Applying
from harness.registry.api import RegistryApi
from harness.undo.temporary_changes import Manifests
from harness.version_sets import VersionSet
from harness.waits import bind_to_waypoint, gateways, rollouts
from harness.waits.responses import wait_for_response

PORT = 9080
RunningHelper = Callable[[str, str, str], AbstractContextManager[None]]
PLACES = ("ingress", "waypoint")


@pytest.fixture(scope="session")
def echo(stack: None, manifests: Manifests, kube: Kube) -> Iterator[Echo]:
    """The echo backend, ready."""
    with manifests.while_applied("base/echo.yaml"):
        rollouts.wait_for_rollout(kube, f"Deployment/{kube.namespace}/echo-v1")
        rollouts.wait_for_rollout(kube, f"Deployment/{kube.namespace}/echo-v2")
        yield Echo(kube)


@pytest.fixture(scope="session")
def running_helper(
    echo: Echo, cluster: Cluster, bundle: Bundle | None, version_set: VersionSet, manifests: Manifests, kube: Kube
) -> RunningHelper:
    """`with running_helper(role, manifest, deployment):` a helper beside the echo backend, its image loaded, ready."""

    @contextmanager
    def run(role: str, manifest: str, deployment: str) -> Iterator[None]:
        load_helper_image(cluster, bundle, version_set, role)
        with manifests.while_applied(manifest):
            rollouts.wait_for_rollout(kube, f"Deployment/{kube.namespace}/{deployment}")
            yield

    return run


@pytest.fixture(scope="session")
def opa(running_helper: RunningHelper) -> Iterator[None]:
    """Open Policy Agent."""
    with running_helper("opa", "base/opa.yaml", "opa"):
        yield


@pytest.fixture(scope="session")
def dex(running_helper: RunningHelper) -> Iterator[None]:
    """Dex, with its route at the ingress and that of its client, the shop."""
    with running_helper("dex", "base/dex.yaml", "dex"):
        yield


@pytest.fixture(scope="session")
def wasm_registry(running_helper: RunningHelper) -> Iterator[None]:
    """A registry with a Wasm module."""
    with running_helper("registry", "base/wasm_registry.yaml", "wasm-registry"):
        yield


@pytest.fixture(scope="session")
def coraza(
    running_helper: RunningHelper, cluster: Cluster, bundle: Bundle | None, version_set: VersionSet, kube: Kube
) -> Iterator[None]:
    """A registry with the Coraza WAF's Wasm module."""
    with running_helper("registry", "base/coraza_registry.yaml", "coraza-registry"):
        with open_address(cluster, kube, f"{kube.namespace}/coraza-registry", 5000) as reach:
            registry = RegistryApi(urlsplit(reach.url).netloc, plain_http=True)
            copy_module(bundle, version_set, "coraza", registry, "coraza")
        yield


@pytest.fixture(scope="session")
def otel_collector(running_helper: RunningHelper, kube: Kube) -> Iterator[OtelCollector]:
    """An OpenTelemetry collector."""
    with running_helper("otel-collector", "base/otel_collector.yaml", "otel-collector"):
        yield OtelCollector(kube)


@pytest.fixture(scope="session")
def ext_proc(running_helper: RunningHelper) -> Iterator[None]:
    """An external processor."""
    with running_helper("ext-proc", "base/ext_proc.yaml", "ext-proc"):
        yield


@pytest.fixture(scope="module")
def browser(ingress: IngressClient) -> Iterator[Browser]:
    """A browser for which each host below .localhost is the ingress."""
    with running({"*.localhost": urlsplit(ingress.base_url).netloc}) as found:
        yield found


@pytest.fixture(scope="session")
def at_ingress(echo: Echo, ingress: IngressClient, ingress_gateway: Envoy, mesh_client: MeshClient) -> Place:
    """The ingress, which has the route of the echo backend."""
    place = Place("ingress", "bookinfo-ingress", "", ingress, ingress_gateway, mesh_client, echo)
    wait_for_response(place.client, place.get(), status=200)
    return place


@pytest.fixture(scope="session")
def at_waypoint(echo: Echo, waypoint: Envoy, manifests: Manifests, mesh_client: MeshClient) -> Iterator[Place]:
    """The waypoint, to which the Service echo is bound for the session."""
    base = f"http://echo:{PORT}"
    with bind_to_waypoint.while_service_bound(manifests, "echo", "waypoint"):
        bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, waypoint, f"{base}/")
        yield Place("waypoint", "waypoint", base, mesh_client, waypoint, mesh_client, echo)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each place in turn: a test that asks for it runs at both."""
    found: Place = request.getfixturevalue(f"at_{request.param}")
    return found


@pytest.fixture(scope="session")
def pair_of(
    kube: Kube,
    client_of: Callable[..., AbstractContextManager[IngressClient]],
    proxy_of: Callable[[str], Envoy],
    at_ingress: Place,
    at_waypoint: Place,
) -> Callable[[str], AbstractContextManager[tuple[Place, Place]]]:
    """`with pair_of("logged") as (ingress, waypoint):` the Gateways ingress-logged and waypoint-logged as places, the
    Service echo-logged bound to the second, both seen to carry a request to it."""

    @contextmanager
    def open_pair(name: str) -> Iterator[tuple[Place, Place]]:
        service, gateway = f"echo-{name}", f"waypoint-{name}"
        gateways.wait_for_gateway(kube, gateway, service)
        envoy, base = proxy_of(gateway), f"http://{service}:{PORT}"
        bind_to_waypoint.bind_service(kube, service, gateway)
        bind_to_waypoint.wait_for_waypoint_traffic(at_waypoint.past, envoy, f"{base}/")
        waypoint = replace(at_waypoint, gateway=gateway, base=base, envoy=envoy)
        gateways.wait_for_gateway(kube, f"ingress-{name}", service)
        envoy = proxy_of(f"ingress-{name}")
        with client_of(envoy.gateway, 80) as client:
            ingress = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
            wait_for_response(client, ingress.get(host=service), status=200)
            yield ingress, waypoint

    return open_pair


@pytest.fixture(scope="session")
def tries(kube: Kube, applying: Applying) -> Tries:
    """`tries.policy(...)`: a feature before, under and after its manifest."""
    return Tries(kube, applying)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A certificate authority of this run."""
    return Authority()


@pytest.fixture(scope="session")
def client_of(cluster: Cluster, kube: Kube) -> Callable[..., AbstractContextManager[IngressClient]]:
    """`with client_of("gateway", 80) as client:` reaches another Gateway's Service from outside; `tls=`: over TLS."""

    @contextmanager
    def open_client(gateway: str, port: int, tls: ssl.SSLContext | None = None) -> Iterator[IngressClient]:
        with open_address(cluster, kube, f"{kube.namespace}/{gateway}", port) as found:
            yield IngressClient(found.url, found.via, tls=tls)

    return open_client
