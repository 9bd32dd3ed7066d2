"""The upgrade that setting UPGRADE_TO requests: product, old and new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness import chosen_versions, version_differences
from harness.cluster.protocol import Release
from harness.disruption import restarts
from harness.errors import CannotJudge
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.unstructured import text
from harness.offline_bundle import Bundle
from harness.version_sets import VersionSet, version_in
from harness.version_sets_from_names import PRODUCTS
from harness.waits import rollouts

CNI = "DaemonSet/istio-system/istio-cni-node"
# A product's charts in the order of its documentation, each with the workload whose pods its upgrade replaces.
CHARTS: Mapping[str, Mapping[str, str]] = {
    "istio": {"istiod": restarts.ISTIOD, "cni": CNI, "ztunnel": restarts.ZTUNNEL},
    "eg": {"gateway-helm": restarts.CONTROLLER},
}
ANY = "any"  # the value of the difference `needed_definitions` where a version starts with those of any other
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

    def check_changes(self, difference: str, wanted: bool) -> None:
        """Checks that the upgrade crosses a difference between versions, or does not.

        Raises:
            CannotJudge: it is otherwise.
        """
        if self.changes(difference) != wanted:
            does = "does not change" if wanted else "changes"
            raise CannotJudge(f"{self.name} {does} {difference} (harness/version_differences.yaml)")

    def check_tcp_route_found(self, order: Order) -> None:
        """Checks that the newer version starts with the definition of TCPRoute that it looks for.

        Raises:
            CannotJudge: it starts without it.
        """
        if order == "definitions last" and self.changes("watched_tcp_route"):
            raise CannotJudge(f"{self.name}, {order}: another test has that claim")

    @property
    def waits_for_definitions(self) -> bool:
        """Whether the newer version does not start with the definitions of the version before."""
        needed = version_differences.value("needed_definitions", self.after.envoy_gateway)
        return self.changes("needed_definitions") and needed != ANY

    def check_waits_for_definitions(self) -> None:
        """
        Raises:
            CannotJudge: the newer version starts with the definitions of the version before.
        """
        if not self.waits_for_definitions:
            raise CannotJudge(f"{self.name}: the newer version starts with the older definitions")

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
        CannotJudge: it is empty.
    """
    if not to:
        raise CannotJudge("UPGRADE_TO= names no version")
    after = chosen_versions.upgraded(before, to)
    return VersionUpgrade("istio" if after.istio != before.istio else "eg", before, after, charts, proxies, bundle)


def check_order(order: Order, wanted: Order) -> None:
    """Checks the order of an upgrade's steps.

    Raises:
        CannotJudge: it is the other one.
    """
    if order != wanted:
        raise CannotJudge(f"about the other order, not {order}")
