"""Upgrades of a product to another version and back: definitions, charts, and the proxies that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness import chosen_versions, observations, timeouts
from harness.bundle import Bundle
from harness.cluster.protocol import Cluster, Release
from harness.disruption import restarts
from harness.disruption.touched import check_allowed, touches
from harness.kube import ApiUnavailable, Kube, RequestRejected
from harness.objects.definitions import gateway_api_version
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.objects.workloads import pod_containers
from harness.releases import PRODUCTS
from harness.versions import VersionSet, version_in
from harness.wait import until
from harness.waits import rollouts

CNI = "DaemonSet/istio-system/istio-cni-node"
# The charts of a product in the order of its documentation, and the workload whose pods a chart's upgrade replaces.
CHARTS: Mapping[str, Sequence[str]] = {"istio": ("base", "istiod", "cni", "ztunnel"), "eg": ("gateway-helm",)}
WORKLOADS = {"istiod": restarts.ISTIOD, "cni": CNI, "ztunnel": restarts.ZTUNNEL, "gateway-helm": restarts.CONTROLLER}
PROXIES = (restarts.INGRESS, restarts.WAYPOINT)  # Envoy Gateway replaces them with those of its own version
GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class VersionUpgrade:
    """An upgrade of one product ("istio" or "eg") between two version sets that differ in it alone."""

    product: str
    before: VersionSet
    after: VersionSet
    charts: Callable[[VersionSet], Mapping[str, Release]]  # the releases of a version set by chart
    bundle: Bundle | None = None

    @property
    def name(self) -> str:
        """ "Envoy Gateway 1.7.5 to 1.9.0"."""
        return f"{PRODUCTS[self.product]} {self.version(self.before)} to {self.version(self.after)}"

    def version(self, row: VersionSet) -> str:
        return row.istio if self.product == "istio" else row.envoy_gateway

    def releases(self, row: VersionSet) -> dict[str, Release]:
        """The product's releases in a version set, in the order in which they are upgraded."""
        found = self.charts(row)
        return {chart: found[chart] for chart in CHARTS[self.product]}

    def running(self, kube: Kube) -> str:
        """The version that the product's pods run: of all its workloads, one if they agree."""
        workloads = [WORKLOADS[chart] for chart in CHARTS[self.product] if chart in WORKLOADS]
        pods = [pod for workload in workloads for pod in rollouts.read_pods(kube, kube.get(workload))]
        images = [text(next(iter(pod["spec"]["containers"])), "image") for pod in pods]
        return ", ".join(sorted({version_in(image) for image in images}))


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of definitions that were applied over others: `bundles` are those that are there now, `refused` the
    API server's reason by definition."""

    bundles: frozenset[str]
    refused: Mapping[str, str] = field(default_factory=dict)


def plan_upgrade(
    before: VersionSet, to: str, charts: Callable[[VersionSet], Mapping[str, Release]], bundle: Bundle | None
) -> VersionUpgrade:
    """The upgrade that UPGRADE_TO= describes ("eg-1.9.0").

    Raises:
        BadInput: it describes none, or the versions cannot work together.
    """
    after = chosen_versions.upgraded(before, to)
    return VersionUpgrade("istio" if after.istio != before.istio else "eg", before, after, charts, bundle)


def load_images(cluster: Cluster, upgrade: VersionUpgrade) -> None:
    """Loads what the version after needs and the one before does not, where images come from a bundle: the time of an
    upgrade is not that of its images."""
    if upgrade.bundle:
        new = [image for role, image in upgrade.after.images.items() if image != upgrade.before.images[role]]
        cluster.load_images([upgrade.bundle.archive(image) for image in new])


@touches(*WORKLOADS.values())
def upgrade_product(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet) -> None:
    """Brings the product to its version in `row`, chart by chart, and waits until every pod is of that version: with
    Envoy Gateway also the rate limit service and the proxies of the ingress and the waypoint.

    Raises:
        CommandFailed: Helm failed.
        NotReady: a workload did not roll out, or kept an old pod.
        NotAllowed: this cluster's control planes are not to be touched.
    """
    found = upgrade.releases(row)
    workloads = [WORKLOADS[chart] for chart in found if chart in WORKLOADS]
    check_allowed(cluster, *workloads)
    followers = PROXIES if upgrade.product == "eg" else ()
    with restarts.while_replacing_pods(kube, *workloads, *followers):
        for chart, release in found.items():
            cluster.install(release)
            if chart in WORKLOADS:
                rollouts.wait_for_rollout(kube, WORKLOADS[chart], within=timeouts.UPGRADED)
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


@touches("the definitions of the Gateway API")
def replace_definitions(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet) -> Replaced:
    """Applies the definitions that Envoy Gateway's chart of `row` brings, one by one, and reads what is there then. A
    definition that the API server rejects does not end it. Those of the version before are only the Gateway API's: an
    older version reads its own in their newer form.

    Raises:
        NotAllowed: this cluster's definitions are not to be touched.
    """
    check_allowed(cluster, "the definitions of the Gateway API")
    refused: dict[str, str] = {}
    documents = cluster.definitions(upgrade.releases(row)["gateway-helm"])
    for document in _policies_last(documents if row is upgrade.after else _of_gateway_api(documents)):
        name = str(document["metadata"]["name"])
        try:
            kube.apply([document], force=True)
        except RequestRejected as error:
            refused[name] = str(error)
            continue
        if document["kind"] == "CustomResourceDefinition":
            rollouts.wait_for_definition(kube, name)
    there = [gateway_api_version(one) for one in _of_gateway_api(kube.list_objects("CustomResourceDefinition"))]
    found = Replaced(frozenset(filter(None, there)), refused)
    observations.record_sighting("Kubernetes API", f"definitions of {', '.join(sorted(found.bundles))}")
    return found


def _of_gateway_api(documents: Sequence[Document]) -> list[Document]:
    return [one for one in documents if str(one["metadata"]["name"]).endswith(GROUP)]


def _policies_last(documents: Sequence[Document]) -> list[Document]:
    """Admission policies last: they would judge the definitions that come with them."""
    return sorted(documents, key=lambda one: one["kind"] != "CustomResourceDefinition")
