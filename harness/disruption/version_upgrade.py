"""Upgrades of a product to another version and back: definitions, charts, and the proxies that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, get_args

from harness import chosen_versions, observations, timeouts, version_differences
from harness.cluster.protocol import Cluster, Release
from harness.disruption import restarts
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.errors import SetupFailed
from harness.kube import ApiUnavailable, Kube, RequestRejected
from harness.objects.definitions import gateway_api_version
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import text
from harness.objects.workloads import pod_containers
from harness.offline_bundle import Bundle
from harness.version_set_names import PRODUCTS
from harness.version_sets import VersionSet, version_in
from harness.wait import until
from harness.waits import rollouts

CNI = "DaemonSet/istio-system/istio-cni-node"
# A product's charts in the order of its documentation, each with the workload whose pods its upgrade replaces.
CHARTS: Mapping[str, Mapping[str, str]] = {
    "istio": {"istiod": restarts.ISTIOD, "cni": CNI, "ztunnel": restarts.ZTUNNEL},
    "eg": {"gateway-helm": restarts.CONTROLLER},
}
DEFINITIONS = {"istio": "base", "eg": "gateway-helm"}  # the chart that brings a product's definitions
GROUPS = {"istio": "istio.io", "eg": "gateway.networking.k8s.io"}  # what their names end in
PROXIES = (restarts.INGRESS, restarts.WAYPOINT)  # Envoy Gateway replaces them with those of its own version
DEFINITIONS_OF = "the definitions of the Gateway API and Istio"
SAFE_UPGRADES = "safe-upgrades.gateway.networking.k8s.io"
STORED = "status.storedVersions"  # objects may be stored in a version that the definition lacks
Order = Literal["definitions first", "definitions last"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True, slots=True)
class VersionUpgrade:
    """An upgrade of one product ("istio" or "eg") between two version sets that differ in it alone."""

    product: str
    before: VersionSet
    after: VersionSet
    charts: Callable[[VersionSet], Mapping[str, Release]]  # the releases of a version set by chart
    proxies: Callable[[VersionSet], Sequence[Document]]  # its EnvoyProxies, which may name the image of the proxies
    bundle: Bundle | None = None

    @property
    def name(self) -> str:
        """ "Envoy Gateway 1.7.5 to 1.9.0"."""
        return f"{PRODUCTS[self.product]} {self.version(self.before)} to {self.version(self.after)}"

    def version(self, row: VersionSet) -> str:
        return row.istio if self.product == "istio" else row.envoy_gateway

    def changes(self, difference: str) -> bool:
        """Whether a difference of harness/version_differences.yaml has another value after the upgrade.

        Raises:
            KeyError: there is no such difference.
        """
        found = version_differences.load().differences[difference]
        before, after = (
            version_differences.value(difference, row.istio if found.product == "istio" else row.envoy_gateway)
            for row in (self.before, self.after)
        )
        return before != after

    def releases(self, row: VersionSet) -> dict[str, Release]:
        """The releases of the product's workloads in a version set, in the order in which they are upgraded."""
        found = self.charts(row)
        return {chart: found[chart] for chart in CHARTS[self.product]}

    @property
    def control_plane(self) -> str:
        """The workload that reads definitions."""
        return restarts.ISTIOD if self.product == "istio" else restarts.CONTROLLER

    def definitions(self, row: VersionSet) -> frozenset[str]:
        """What `read_definitions` returns once all definitions are those of a version set."""
        api = row.gateway_api
        return frozenset({row.istio} if self.product == "istio" else {f"v{api.bundle} {api.channel}"})

    def running(self, kube: Kube) -> str:
        """The version that the product's pods run: of all its workloads, one if they agree."""
        pods = [pod for name in CHARTS[self.product].values() for pod in rollouts.read_pods(kube, kube.get(name))]
        images = [text(next(iter(pod["spec"]["containers"])), "image") for pod in pods]
        return ", ".join(sorted({version_in(image) for image in images}))


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of definitions that were applied over others: `versions` are those of the definitions that are there
    now, `rejected` the API server's reason by definition."""

    versions: frozenset[str]
    rejected: Mapping[str, str] = field(default_factory=dict)

    @property
    def rejected_by(self) -> set[str]:
        """Who rejected some: SAFE_UPGRADES, STORED, or the whole reason where it names neither."""
        return {
            next((one for one in (SAFE_UPGRADES, STORED) if one in reason), reason) for reason in self.rejected.values()
        }


def plan_upgrade(
    before: VersionSet,
    to: str,
    charts: Callable[[VersionSet], Mapping[str, Release]],
    proxies: Callable[[VersionSet], Sequence[Document]],
    bundle: Bundle | None,
) -> VersionUpgrade:
    """The upgrade that UPGRADE_TO= describes ("eg-1.9.0").

    Raises:
        BadInput: it describes none, or the versions cannot work together.
    """
    after = chosen_versions.upgraded(before, to)
    return VersionUpgrade("istio" if after.istio != before.istio else "eg", before, after, charts, proxies, bundle)


def load_images(cluster: Cluster, upgrade: VersionUpgrade) -> None:
    """Loads what the version after needs and the one before does not, where images come from a bundle: the time of an
    upgrade is not that of its images."""
    if upgrade.bundle:
        new = [image for role, image in upgrade.after.images.items() if image != upgrade.before.images[role]]
        cluster.load_images([upgrade.bundle.archive(image) for image in new])


@touches(*(workload for charts in CHARTS.values() for workload in charts.values()))
def upgrade_product(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet) -> None:
    """Brings the product to its version in `row`, chart by chart, and waits until every pod is of that version: with
    Envoy Gateway also the rate limit service and the proxies of the ingress and the waypoint, whose image an EnvoyProxy
    may name. Definitions stay as they are.

    Raises:
        CommandFailed: Helm failed.
        NotReady: a workload did not roll out, or kept an old pod.
        NotAllowed: this cluster's control planes are not to be touched.
    """
    workloads = CHARTS[upgrade.product]
    check_allowed(cluster, *workloads.values())
    followers = [Placement(kube.namespace).text(proxy) for proxy in PROXIES] if upgrade.product == "eg" else []
    with restarts.while_replacing_pods(kube, *workloads.values(), *followers):
        for chart, release in upgrade.releases(row).items():
            cluster.install(release)
            rollouts.wait_for_rollout(kube, workloads[chart], within=timeouts.UPGRADED)
        if followers:
            kube.apply(upgrade.proxies(row))
        for proxy in followers:
            _wait_for_envoy(kube, proxy, row.envoy)
    if followers:
        rollouts.wait_for_rollout(kube, restarts.LIMITER, within=timeouts.DISTURBED)


def _wait_for_envoy(kube: Kube, deployment: str, version: str) -> None:
    """Waits until a proxy's Deployment asks for this Envoy; its pods follow."""
    until(
        lambda: {version_in(text(container, "image")) for container in pod_containers(kube.get(deployment))},
        lambda images: version in images,
        what=f"{deployment} runs Envoy {version}",
        within=timeouts.UPGRADED,
        transient=(ApiUnavailable,),
        show=lambda images: ", ".join(sorted(images)),
    )
    rollouts.wait_for_rollout(kube, deployment, within=timeouts.UPGRADED)


@touches(DEFINITIONS_OF)
def replace_definitions(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet) -> Replaced:
    """Applies the product's definitions of `row`, and reads what is there then: of Istio the chart `base`, of Envoy
    Gateway the definitions that its chart brings, one by one. A definition that the API server rejects does not end it.
    Those of the version before are only the Gateway API's: an older version reads its own in their newer form.

    Raises:
        CommandFailed: Helm failed.
        NotAllowed: this cluster's definitions are not to be touched.
    """
    check_allowed(cluster, DEFINITIONS_OF)
    rejected: dict[str, str] = {}
    if upgrade.product == "istio":
        cluster.install(upgrade.charts(row)[DEFINITIONS["istio"]])
    else:
        documents = cluster.definitions(upgrade.charts(row)[DEFINITIONS["eg"]])
        rejected = _apply_one_by_one(kube, documents if row is upgrade.after else _of(upgrade, documents))
    found = Replaced(read_definitions(kube, upgrade), rejected)
    observations.record_sighting("Kubernetes API", f"definitions of {', '.join(sorted(found.versions))}")
    return found


def read_definitions(kube: Kube, upgrade: VersionUpgrade) -> frozenset[str]:
    """The versions of the product's definitions that are there: "v1.6.1 experimental" of the Gateway API, "1.30.3" of
    Istio; one if all are of one."""
    there = _of(upgrade, kube.list_objects("CustomResourceDefinition"))
    if upgrade.product == "istio":
        return frozenset(text(one, "metadata", "labels", "app.kubernetes.io/version") for one in there)
    return frozenset(filter(None, map(gateway_api_version, there)))


@touches(DEFINITIONS_OF)
def force_older_definitions(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Replaced:
    """Deletes the safe-upgrades admission policy, as its message says, and applies the definitions of the version
    before. What is rejected all the same (`rejected`) is then deleted and made anew, and what the version before
    lacks is deleted: the cluster is as it was.

    Raises:
        NotAllowed: this cluster's definitions are not to be touched.
        SetupFailed: an object of such a definition is there: it would be lost.
    """
    check_allowed(cluster, DEFINITIONS_OF)
    if upgrade.product == "istio":
        return replace_definitions(cluster, kube, upgrade, upgrade.before)
    documents = _of(upgrade, cluster.definitions(upgrade.charts(upgrade.before)[DEFINITIONS["eg"]]))
    kube.delete([f"ValidatingAdmissionPolicyBinding/{SAFE_UPGRADES}", f"ValidatingAdmissionPolicy/{SAFE_UPGRADES}"])
    rejected = until(
        lambda: _apply_one_by_one(kube, documents),
        lambda found: not any(SAFE_UPGRADES in reason for reason in found.values()),
        what=f"the API server no longer asks {SAFE_UPGRADES}",
        within=timeouts.STATUS,
        every=1.0,
        transient=(ApiUnavailable,),
        show=lambda found: f"{len(found)} definitions rejected",
    )
    brought = {str(one["metadata"]["name"]) for one in documents}
    for definition in _of(upgrade, kube.list_objects("CustomResourceDefinition")):
        if (name := str(definition["metadata"]["name"])) in brought - rejected.keys():
            continue
        kind = text(definition, "spec", "names", "kind")
        if kube.list_objects(kind):
            raise SetupFailed(f"a {kind} exists: it would be deleted with its CRD", remedy="delete it first")
        kube.delete([f"CustomResourceDefinition/{name}"])
    _apply_one_by_one(kube, [one for one in documents if str(one["metadata"]["name"]) in rejected])
    found = Replaced(read_definitions(kube, upgrade), rejected)
    observations.record_sighting("Kubernetes API", f"definitions of {', '.join(sorted(found.versions))}")
    return found


def steps(
    cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, order: Order
) -> dict[Literal["definitions", "charts"], Callable[[], Replaced | None]]:
    """The two steps of an upgrade, in that order."""
    definitions = partial(replace_definitions, cluster, kube, upgrade, upgrade.after)
    charts = partial(upgrade_product, cluster, kube, upgrade, upgrade.after)
    if order == "definitions first":
        return {"definitions": definitions, "charts": charts}
    return {"charts": charts, "definitions": definitions}


@contextmanager
@touches(*(workload for charts in CHARTS.values() for workload in charts.values()), DEFINITIONS_OF)
def while_upgraded(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Iterator[None]:
    """After the block the product and its definitions are of the version before, whatever has failed in it."""
    check_allowed(cluster, *CHARTS[upgrade.product].values(), DEFINITIONS_OF)
    definitions = read_definitions(kube, upgrade)
    try:
        yield
    finally:
        if upgrade.running(kube) != upgrade.version(upgrade.before):
            upgrade_product(cluster, kube, upgrade, upgrade.before)
        if read_definitions(kube, upgrade) != definitions:
            force_older_definitions(cluster, kube, upgrade)


def _apply_one_by_one(kube: Kube, documents: Iterable[Document]) -> dict[str, str]:
    """Applies definitions, admission policies last: they would judge the definitions that come with them. Returns the
    API server's reasons for what it rejected, by name."""
    rejected: dict[str, str] = {}
    for document in sorted(documents, key=lambda one: one["kind"] != "CustomResourceDefinition"):
        name = str(document["metadata"]["name"])
        try:
            kube.apply([document], force=True)
        except RequestRejected as error:
            rejected[name] = str(error)
            continue
        if document["kind"] == "CustomResourceDefinition":
            rollouts.wait_for_definition(kube, name)
    return rejected


def _of(upgrade: VersionUpgrade, documents: Iterable[Document]) -> list[Document]:
    """Those of the product's group, as a name ends in it: of Envoy Gateway the Gateway API's."""
    return [one for one in documents if str(one["metadata"]["name"]).endswith(GROUPS[upgrade.product])]
