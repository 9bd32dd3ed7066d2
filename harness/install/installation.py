"""Installs the stack, from an empty cluster to a ready Bookinfo, with independent parts in parallel."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace

from harness import no_proxy, observations, progress, timeouts
from harness.cluster.protocol import Cluster, Release
from harness.errors import SetupFailed
from harness.image_pins_and_pull_secrets import make_pull_secret, with_pull_secrets
from harness.install.critical_path import TITLE, Ran, critical_path, rows
from harness.install.releases import GATEWAY, ISTIO, make_releases
from harness.kube import Kube
from harness.objects.manifests import MANIFESTS, Document, read_manifest
from harness.objects.namespace_mapping import Placement
from harness.objects.workloads import addresses
from harness.offline_bundle import Bundle
from harness.threads import thread_pool
from harness.version_sets import VersionSet
from harness.waits import rollouts

ISTIO_WORKLOADS = {
    "istiod": "Deployment/istio-system/istiod",
    "cni": "DaemonSet/istio-system/istio-cni-node",
    "ztunnel": "DaemonSet/istio-system/ztunnel",
}
GATEWAY_WORKLOADS = (
    "Deployment/envoy-gateway-system/envoy-gateway",
    "Deployment/envoy-gateway-system/envoy-ratelimit",
)
LOAD_BALANCER_WORKLOADS = ("Deployment/metallb-system/controller", "DaemonSet/metallb-system/speaker")
SUITE_STEPS = ("enrolment", "bookinfo", "mesh client", "gateway classes")  # what a run brings to any cluster
CLASSES = "install/envoy_gateway.yaml"
REPLICATED = ("ingress", "waypoint")  # EnvoyProxies of that manifest


@dataclass(frozen=True, slots=True)
class InstallStep:
    """A piece of the stack: `act` runs once all of `after` are done."""

    name: str
    act: Callable[[], None]
    after: tuple[str, ...] = ()


def install(cluster: Cluster, kube: Kube, versions: VersionSet, bundle: Bundle | None, replicas: int = 1) -> None:
    """Stands the whole stack up and waits until it is ready.

    Raises:
        SetupFailed: a step failed; the message names the pod, image and reason where there are such.
    """
    run_side_by_side(install_steps(cluster, kube, versions, bundle, replicas))


def install_steps(
    cluster: Cluster, kube: Kube, versions: VersionSet, bundle: Bundle | None, replicas: int = 1
) -> list[InstallStep]:
    """The steps and what each waits for; the proxies and the rate limit service get so many replicas. Images are loaded
    first for what starts first."""
    releases = make_releases(versions, bundle, replicas=replicas)
    acts = _Acts(cluster, kube, versions, bundle, releases, replicas)
    load, release, manifest = acts.loading, acts.releasing, acts.applying
    bookinfo = [role for role in versions.images if role.startswith("bookinfo-")]
    mesh = ("istio cni", "istio ztunnel", "enrolment")
    steps = [
        InstallStep("images: mesh", load("pilot", "install-cni", "ztunnel", "redis", "gateway")),
        InstallStep("images: limiter", load("ratelimit", "envoy"), ("images: mesh",)),
        InstallStep("images: bookinfo", load(*bookinfo, "curl", "fortio"), ("images: limiter",)),
        InstallStep("definitions", acts.apply_definitions),
        InstallStep("pull secrets", acts.apply_pull_secrets),
        InstallStep("istio base", release("base"), ("pull secrets",)),
        *(
            InstallStep(f"istio {name}", release(name, workload), ("images: mesh", "istio base"))
            for name, workload in ISTIO_WORKLOADS.items()
        ),
        InstallStep("redis", manifest("base/redis.yaml", "Deployment/redis-system/redis"), ("images: mesh",)),
        InstallStep(
            "envoy gateway", release("gateway-helm", *GATEWAY_WORKLOADS), ("definitions", "redis", "pull secrets")
        ),
        InstallStep("enrolment", manifest("install/ambient.yaml"), ("istio cni", "istio ztunnel")),
        InstallStep("bookinfo", manifest("base/bookinfo.yaml", *_applications(versions)), ("images: bookinfo", *mesh)),
        InstallStep(
            "mesh client",
            manifest("base/mesh_client.yaml", "Deployment/default/mesh-client"),
            ("images: bookinfo", *mesh),
        ),
        InstallStep("gateway classes", manifest(CLASSES), ("definitions", "envoy gateway", "enrolment")),
    ]
    if versions.has_load_balancer:
        images = load("metallb-controller", "metallb-speaker")
        steps += [
            InstallStep("images: load balancer", images, ("images: mesh",)),
            InstallStep("load balancer", acts.install_load_balancer, ("images: load balancer",)),
        ]
    return steps


@dataclass(frozen=True, slots=True)
class _Acts:
    """What the steps do. Those named -ing return an act with its arguments bound."""

    cluster: Cluster
    kube: Kube
    versions: VersionSet
    bundle: Bundle | None
    releases: Mapping[str, Release]
    replicas: int

    def loading(self, *roles: str) -> Callable[[], None]:
        """Loads the images of these roles from the bundle, if there is one."""
        bundle, held = self.bundle, [role for role in roles if self.versions.fetched(role)]
        images = self.versions.images
        return lambda: self.cluster.load_images([bundle.archive(images[role]) for role in held] if bundle else [])

    def releasing(self, chart: str, *workloads: str) -> Callable[[], None]:
        """Installs a chart and waits for its workloads."""

        def act() -> None:
            self.cluster.install(self.releases[chart])
            self._wait_for(workloads)

        return act

    def applying(self, file: str, *workloads: str) -> Callable[[], None]:
        """Applies a manifest in the run's namespace and waits for its workloads."""

        def act() -> None:
            placement = Placement(self.kube.namespace)
            self._apply(placement.documents(with_replicas(self._read(file), self.replicas)))
            self._wait_for([placement.text(name) for name in workloads])

        return act

    def apply_definitions(self) -> None:
        self._define(self.cluster.definitions(self.releases["gateway-helm"]))

    def apply_pull_secrets(self) -> None:
        registry = self.versions.registry
        if not registry or not registry.secret:
            return
        for namespace in (ISTIO, GATEWAY):
            made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            self._apply([made, make_pull_secret(registry, namespace)])

    def install_load_balancer(self) -> None:
        self._define(read_manifest(MANIFESTS / "base/metallb_definitions.yaml"))
        documents = self._read("base/metallb.yaml")
        for pool in (one for one in documents if one["kind"] == "IPAddressPool"):
            pool["spec"]["addresses"] = list(self.cluster.address_pools)
        self.kube.apply(documents)
        self._wait_for(LOAD_BALANCER_WORKLOADS)

    def _read(self, file: str) -> list[Document]:
        return with_pull_secrets(read_manifest(MANIFESTS / file), self.versions)

    def _apply(self, documents: list[Document]) -> None:
        self.cluster.remember(documents)
        self.kube.apply(documents)

    def _define(self, documents: Sequence[Document]) -> None:
        self.cluster.remember(documents)
        self.kube.apply(documents, force=True)
        for document in documents:
            if document["kind"] == "CustomResourceDefinition":
                rollouts.wait_for_definition(self.kube, document["metadata"]["name"])

    def _wait_for(self, workloads: Sequence[str]) -> None:
        """Waits for the nodes first: a new one takes no pods until it is ready, which would look like trouble."""
        if workloads:
            rollouts.wait_for_nodes(self.kube)
        for name in workloads:
            rollouts.wait_for_rollout(self.kube, name)


def envoy_proxies(versions: VersionSet, placement: Placement, replicas: int = 1) -> list[Document]:
    """The EnvoyProxies as they are installed: from a private registry each names the image of its proxies."""
    documents = with_replicas(with_pull_secrets(read_manifest(MANIFESTS / CLASSES), versions), replicas)
    return placement.documents(one for one in documents if one["kind"] == "EnvoyProxy")


def with_replicas(documents: list[Document], replicas: int) -> list[Document]:
    """The documents, with so many replicas in the EnvoyProxy of the ingress and of the waypoint."""
    found = copy.deepcopy(documents)
    for one in found if replicas > 1 else ():
        if one["kind"] == "EnvoyProxy" and one["metadata"]["name"] in REPLICATED:
            one["spec"]["provider"]["kubernetes"]["envoyDeployment"]["replicas"] = replicas
    return found


def suite_steps(steps: Sequence[InstallStep]) -> list[InstallStep]:
    """Those of them that make the run's namespace and what is in it, for a cluster that has the rest of the stack."""
    return [
        replace(step, after=tuple(name for name in step.after if name in SUITE_STEPS))
        for step in steps
        if step.name in SUITE_STEPS
    ]


def stack_steps(steps: Sequence[InstallStep]) -> list[InstallStep]:
    """Those of them that make the stack alone, without what the suites bring to it."""
    return [step for step in steps if step.name not in (*SUITE_STEPS, "images: bookinfo")]


def run_side_by_side(work: Sequence[InstallStep]) -> None:
    """Runs steps as their needs are met. The first failure ends it: steps under way finish, no other begins. Ctrl-C
    ends those under way as well. At the end the critical path is tabulated."""
    began, ran = time.monotonic(), list[Ran]()
    waiting = {step.name: step for step in work}
    done: set[str] = set()
    under_way: dict[Future[Ran], str] = {}
    failures: list[Exception] = []  # in their order, which the futures do not tell
    with thread_pool(len(work)) as pool:
        while waiting or under_way:
            for name in [n for n, step in waiting.items() if done.issuperset(step.after)]:
                under_way[pool.submit(_timed, waiting.pop(name), began, failures)] = name
            if not under_way:
                raise ValueError(f"steps wait for steps that never run: {sorted(waiting)}")
            finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
            if failures:
                raise failures[0]
            for future in finished:
                done.add(under_way.pop(future))
                ran.append(future.result())
    for row in rows(critical_path(ran)):
        observations.add_row(TITLE, row)


def _timed(step: InstallStep, origin: float, failures: list[Exception]) -> Ran:
    started = time.monotonic()
    with progress.stage(step.name):
        try:
            step.act()
        except Exception as error:
            error.add_note(f"while installing: {step.name}")
            failures.append(error)
            raise
        observations.record_seconds(f"stack: {step.name}", time.monotonic() - started)
    return Ran(step.name, started - origin, time.monotonic() - origin, step.after)


def check_stack(kube: Kube) -> None:
    """Checks that Istio and Envoy Gateway are there and ready, on a cluster on which they are not ours to install.

    Raises:
        SetupFailed: something is missing or not ready; all that is missing is named.
    """
    if missing := _missing_workloads(kube):
        raise SetupFailed(
            f"this cluster lacks components that the suites test: {', '.join(missing)}",
            remedy="install them (see manifests/ and versions.yaml), or let the harness do it: INSTALL=1",
        )
    for name in _workloads(kube):
        rollouts.wait_for_rollout(kube, name, within=timeouts.STATUS)


def _workloads(kube: Kube) -> list[str]:
    return [kube.places.text(name) for name in (*ISTIO_WORKLOADS.values(), *GATEWAY_WORKLOADS)]


def _missing_workloads(kube: Kube) -> list[str]:
    return [name for name in _workloads(kube) if kube.find(name) is None]


def _applications(versions: VersionSet) -> list[str]:
    bookinfo = (role for role in versions.images if role.startswith("bookinfo-"))
    return [f"Deployment/default/{role.removeprefix('bookinfo-')}" for role in bookinfo]


def ensure_stack(
    cluster: Cluster,
    kube: Kube,
    versions: VersionSet,
    bundle: Bundle | None,
    *,
    installs: bool,
    replicas: int = 1,
    suites: bool = True,
    is_kept: bool = False,
) -> None:
    """Installs the stack; with `suites` also what they need: the namespace, Bookinfo, the mesh client. On somebody
    else's cluster, unless asked to install, Istio and Envoy Gateway are only checked; so they are on a cluster that was
    kept, if they are there.

    Raises:
        SetupFailed: a part is missing, or did not get ready.
    """
    if cluster.kind == "existing":  # before anything is applied; on a new cluster each step waits where it must
        rollouts.wait_for_nodes(kube)
    no_proxy.extend_no_proxy(addresses(kube.list_objects("Node")))
    found = install_steps(cluster, kube, versions, bundle, replicas)
    if (cluster.kind == "existing" and not installs) or (is_kept and not _missing_workloads(kube)):
        check_stack(kube)
        if suites:
            run_side_by_side(suite_steps(found))
    else:
        run_side_by_side(found if suites else stack_steps(found))
