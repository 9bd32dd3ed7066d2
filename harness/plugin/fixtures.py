"""The main fixtures, from the cluster to the clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import pytest

from harness import chosen_versions, cluster_records, diagnostics, observations, progress
from harness.clients.admin import Admin
from harness.clients.certificates import Authority
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.clients.service_address import open_address
from harness.cluster.choose import choose_cluster
from harness.cluster.protocol import Cluster, read_places
from harness.components import Envoy, Istiod, RateLimitService, Ztunnels
from harness.disruption import deployment_env
from harness.install import installation, running_versions
from harness.kube import Kube
from harness.objects.manifests import manifest_of_suite
from harness.objects.namespace_mapping import Placement
from harness.offline_bundle import Bundle
from harness.plugin.artifacts import CAUSES, GATHERER
from harness.plugin.cluster_teardown import while_standing
from harness.plugin.needs import check_judged
from harness.plugin.options import settings_of
from harness.plugin.preflight import preflight
from harness.plugin.run import RUN, evidence_first
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests, undo_leftovers
from harness.undo.undo_log import UndoLog
from harness.version_sets import VersionSet
from harness.waits import bind_to_waypoint, envoy_config, evidence_for_causes, gateways, policy_propagation

Applying = Callable[..., AbstractContextManager[None]]
Binding = Callable[[str, str], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def settings(pytestconfig: pytest.Config) -> Settings:
    """What this run was asked to do."""
    return settings_of(pytestconfig)


@pytest.fixture(scope="session")
def version_set(settings: Settings) -> VersionSet:
    """The row of the matrix that this run tests."""
    return chosen_versions.version_set(settings)


@pytest.fixture(scope="session")
def bundle(settings: Settings, version_set: VersionSet) -> Bundle | None:
    """The folder of charts and images, if the run has one."""
    return chosen_versions.find_bundle(version_set, settings)


@pytest.fixture(scope="session")
def cluster(
    settings: Settings, version_set: VersionSet, bundle: Bundle | None, pytestconfig: pytest.Config
) -> Iterator[Cluster]:
    """The cluster, made or found; taken away at the end as `keep` says, after the evidence was gathered."""
    made = choose_cluster(settings, version_set, bundle)
    run = pytestconfig.stash[RUN]
    pytestconfig.stash[GATHERER] = partial(diagnostics.gather, made, namespace=settings.suite_namespace)
    with while_standing(made, settings, pytestconfig):
        with evidence_first(run), progress.stage(f"cluster {made.kind} {made.name}"):
            made.create()
            preflight(made, settings, run)
        run.facts.update(made.facts())
        yield made


@pytest.fixture(scope="session")
def kind_cluster(cluster: Cluster) -> Cluster:
    """pytest-kind's fixture of this name, ours: users of it feel at home."""
    return cluster


@pytest.fixture(scope="session")
def kube(cluster: Cluster, settings: Settings, pytestconfig: pytest.Config) -> Iterator[Kube]:
    """The cluster's Kubernetes API; while it is there, failures are reported with their cause. Where nobody asked for
    disruption it changes what is ours, and nothing else."""
    not_ours = cluster.cannot_judge.get("disruptive", "")
    found = Kube(
        cluster.kubeconfig,
        cluster.context,
        not_ours=not_ours,
        namespace=settings.suite_namespace,
        places=read_places(cluster),
    )
    pytestconfig.stash[CAUSES] = lambda message, seen: [
        cause.sentence for cause in evidence_for_causes.find_failure_causes(found, message, seen)
    ]
    yield found
    pytestconfig.stash[CAUSES] = None


@pytest.fixture(scope="session")
def leftovers_undone(cluster: Cluster, kube: Kube) -> None:
    """What a killed run left applied is gone: it is no part of the stack."""
    undo_leftovers(kube, UndoLog(cluster.home / cluster_records.APPLIED))


@pytest.fixture(scope="session")
def stack(
    cluster: Cluster,
    kube: Kube,
    leftovers_undone: None,
    version_set: VersionSet,
    bundle: Bundle | None,
    settings: Settings,
    pytestconfig: pytest.Config,
) -> Iterator[None]:
    """Istio ambient, Envoy Gateway, the rate limit service, Bookinfo and the mesh client, installed and ready."""
    check_judged(cluster, "stack")
    with evidence_first(pytestconfig.stash[RUN]), progress.stage("stack"):
        installation.ensure_stack(
            cluster,
            kube.unrestricted,
            version_set,
            bundle,
            installs=settings.install,
            replicas=settings.replicas,
            is_kept=settings.fault is not None and cluster.kind == "kind",  # of a catalogue: its control installed it
        )
        pytestconfig.stash[RUN].record_versions(kube)
        running_versions.check_definitions(kube, "before")
    yield
    running_versions.check_definitions(kube, "after")


@pytest.fixture(scope="session")
def admin(cluster: Cluster) -> Iterator[Admin]:
    """Admin ports of proxies."""
    opened = Admin(cluster)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def ztunnel(cluster: Cluster, stack: None, kube: Kube, admin: Admin) -> Ztunnels:
    """ztunnel on every node."""
    check_judged(cluster, "ztunnel log")
    return Ztunnels(kube, admin)


@pytest.fixture(scope="session")
def manifests(
    cluster: Cluster,
    kube: Kube,
    version_set: VersionSet,
    placement: Placement,
    authority: Authority,
    pytestconfig: pytest.Config,
) -> Manifests:
    """This repository's manifests, pinned to the version set and placed; none of them is applied yet."""
    found = Manifests(kube, version_set, UndoLog(cluster.home / cluster_records.APPLIED), placement)
    found.complete = authority.complete
    found.before_undo = pytestconfig.stash[RUN].evidence.explain
    return found


@pytest.fixture(scope="session")
def istiod(stack: None, kube: Kube, admin: Admin) -> Istiod:
    """Istio's control plane."""
    return Istiod(kube, admin)


@pytest.fixture(scope="session")
def rate_limit_service(cluster: Cluster, stack: None, kube: Kube, admin: Admin) -> RateLimitService:
    """The rate-limit service."""
    check_judged(cluster, "rate limit")
    return RateLimitService(kube, admin, lacks=cluster.cannot_judge)


@pytest.fixture(scope="session")
def mesh_client(stack: None, kube: Kube) -> MeshClient:
    """A client inside the mesh."""
    return MeshClient(kube)


@pytest.fixture(scope="session")
def ingress_gateway(
    cluster: Cluster, stack: None, manifests: Manifests, kube: Kube, admin: Admin, pytestconfig: pytest.Config
) -> Iterator[Envoy]:
    """The article's ingress, programmed."""
    check_judged(cluster, "ingress")
    with manifests.while_applied("ingress/gateway.yaml"):
        with evidence_first(pytestconfig.stash[RUN]), progress.stage("ingress gateway"):
            gateways.wait_for_gateway(kube, "bookinfo-ingress", "ingress-bookinfo")
        envoy = Envoy(kube, admin, kube.namespace, "bookinfo-ingress", lacks=cluster.cannot_judge)
        pytestconfig.stash[RUN].observed["envoy"] = running_versions.answer_or_unknown(lambda: envoy.version)
        yield envoy


@pytest.fixture(scope="session")
def ingress(ingress_gateway: Envoy, cluster: Cluster, kube: Kube) -> Iterator[IngressClient]:
    """A client outside the cluster, in front of the ingress; /productpage answered it 200."""
    with open_address(cluster, kube, f"{kube.namespace}/bookinfo-ingress", 80) as found:
        client = IngressClient(found.url, found.via)
        with progress.stage(f"first 200 through the ingress, by {found.via}"):
            gateways.wait_for_ingress_response(client, "/productpage")
            observations.record_seconds("run started to first 200", progress.PROGRESS.seconds, of=found.via)
        yield client


@pytest.fixture(scope="session")
def waypoint(
    cluster: Cluster,
    stack: None,
    manifests: Manifests,
    kube: Kube,
    admin: Admin,
    mesh_client: MeshClient,
    settings: Settings,
    pytestconfig: pytest.Config,
) -> Iterator[Envoy]:
    """The waypoint of ratings, bound, and seen to carry a call."""
    check_judged(cluster, "waypoint")
    with (
        manifests.while_applied(f"waypoint/gateway_{settings.waypoint}.yaml", "waypoint/ratings.yaml"),
        ExitStack() as undo,
    ):
        with evidence_first(pytestconfig.stash[RUN]), progress.stage(f"waypoint ({settings.waypoint})"):
            gateways.wait_for_gateway(kube, "waypoint", "ratings")
            undo.enter_context(bind_to_waypoint.while_service_bound(manifests, "ratings", "waypoint"))
            envoy = Envoy(kube, admin, kube.namespace, "waypoint", lacks=cluster.cannot_judge)
            bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, envoy, "http://ratings:9080/ratings/0")
        pytestconfig.stash[RUN].observed["envoy"] = running_versions.answer_or_unknown(lambda: envoy.version)
        yield envoy


@pytest.fixture(scope="module")
def applied(request: pytest.FixtureRequest, stack: None, manifests: Manifests) -> Iterator[None]:
    """This file's own manifest (manifests/<area>/<stem>.yaml), applied while its tests run."""
    with manifests.while_applied(manifest_of_suite(request.path)):
        yield


@pytest.fixture(scope="session")
def applying(stack: None, manifests: Manifests) -> Applying:
    """`with applying("area/stem.yaml"):` applies a manifest for a block of a test."""
    return manifests.while_applied


@pytest.fixture(scope="session")
def binding(stack: None, manifests: Manifests) -> Binding:
    """`with binding("details", "waypoint"):` binds a Service of the stack to a waypoint for a block of a test."""
    return lambda service, waypoint: bind_to_waypoint.while_service_bound(manifests, service, waypoint)


@pytest.fixture(scope="session")
def proxy_of(cluster: Cluster, kube: Kube, admin: Admin) -> Callable[[str], Envoy]:
    """The proxy of a Gateway, once its pod is ready, whatever the Gateway's status says."""

    def find(gateway: str) -> Envoy:
        check_judged(cluster, "waypoint")
        gateways.wait_for_proxy_pod(kube, gateway)
        return Envoy(kube, admin, kube.namespace, gateway, lacks=cluster.cannot_judge)

    return find


@pytest.fixture(scope="module")
def delayed_ratings(waypoint: Envoy, manifests: Manifests, kube: Kube) -> Iterator[None]:
    """ratings in its delayed mode, where half of its answers take 7 s, and the waypoint calling that pod."""
    route = (f"httproute/{kube.namespace}/ratings/rule/0", "app=ratings", 9080)
    with deployment_env.while_environment_set(manifests, "ratings-v1", "ratings", SERVICE_VERSION="v-delayed"):
        envoy_config.wait_for_endpoints(waypoint, kube, *route)
        yield
    envoy_config.wait_for_endpoints(waypoint, kube, *route)


@pytest.fixture(scope="module")
def rate_limit_window() -> None:
    """Enough of this hour is left: a quota's window ends at its turn, and a new one would begin in the middle."""
    policy_propagation.wait_for_rate_limit_window()
