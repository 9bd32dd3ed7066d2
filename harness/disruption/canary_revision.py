"""Upgrades Istio by revision: installs a second istiod, and moves ztunnel to it and back.

In ambient mode a revision selects the istiod of a gateway, of a waypoint of Istio's, or of ztunnel. ztunnel is one
DaemonSet, so all nodes move together (https://istio.io/latest/docs/ambient/upgrade/helm).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harness import observations, timeouts
from harness.cluster.protocol import Cluster, Release
from harness.components import Istiod, Ztunnels
from harness.disruption import restarts
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.disruption.requested_upgrade import CHARTS, VersionUpgrade
from harness.errors import CannotJudge, Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.unstructured import objects, text
from harness.version_sets import VersionSet, version_in
from harness.wait import until
from harness.waits import rollouts

REVISION, DEFAULT = "canary", "default"  # the chart labels an istiod without a revision `default`
CANARY = f"{restarts.ISTIOD}-{REVISION}"
DATA_PLANE = ("cni", "ztunnel")  # charts, in the order of Istio's documentation


@dataclass(frozen=True, slots=True)
class DataPlane:
    """How many proxies are connected to the istiod of each revision, by its own gauge; the host name of istiod in the
    configuration of each node's ztunnel; the versions of the pods of Istio's CNI and ztunnel."""

    default: int
    canary: int
    istiods: tuple[str, ...]
    versions: frozenset[str]


@contextmanager
@touches(CANARY)
def uninstalling_canary(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Iterator[None]:
    """After the block the istiod of the revision is uninstalled and its pods are gone, whatever failed in it.

    Raises:
        CannotJudge: the upgrade is not Istio's.
        NotAllowed: this cluster's control planes must not be touched.
        NotReady: a pod stayed.
    """
    if upgrade.product != "istio":
        raise CannotJudge(f"{upgrade.name}: only Istio has revisions")
    check_allowed(cluster, CANARY)
    try:
        yield
    finally:
        cluster.uninstall(_canary(upgrade))
        until(
            lambda: kube.list_pods(_canary(upgrade).namespace, f"{Istiod.LABELS},istio.io/rev={REVISION}"),
            lambda pods: not pods,
            what=f"{CANARY} has no pod left",
            within=timeouts.DISTURBED,
            transient=(ApiUnavailable,),
            show=lambda pods: f"{len(pods)} pods",
        )


@touches(CANARY)
def install_canary(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> None:
    """Installs istiod of the newer version under the revision, and waits until it is rolled out.

    Raises:
        CommandFailed: Helm failed.
        NotReady: it did not roll out.
    """
    cluster.install(_canary(upgrade))
    rollouts.wait_for_rollout(kube, CANARY, within=timeouts.UPGRADED)


@touches(*(CHARTS["istio"][chart] for chart in DATA_PLANE))
def move_data_plane(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet, revision: str) -> None:
    """Upgrades Istio's CNI and ztunnel to their version in `row`, with ztunnel connected to the istiod of the revision,
    and waits until all their pods are replaced.

    Raises:
        CommandFailed: Helm failed.
        NotReady: one did not roll out, or kept an old pod.
        NotAllowed: this cluster's ztunnel must not be touched.
    """
    workloads = [CHARTS["istio"][chart] for chart in DATA_PLANE]
    check_allowed(cluster, *workloads)
    releases = upgrade.releases(row)
    if revision != DEFAULT:
        releases["ztunnel"] = _of_revision(releases["ztunnel"])
    with restarts.while_replacing_pods(kube, *workloads):
        for chart, workload in zip(DATA_PLANE, workloads, strict=True):
            cluster.install(releases[chart])
            rollouts.wait_for_rollout(kube, workload, within=timeouts.UPGRADED)


def wait_for_data_plane(kube: Kube, istiod: Istiod, ztunnel: Ztunnels, revision: str) -> DataPlane:
    """Waits until every node's ztunnel is connected to the istiod of this revision, and none to the other.

    Raises:
        NotReady: that did not happen in time.
    """
    nodes = len(ztunnel.read_pods())
    wanted = (nodes, 0) if revision == DEFAULT else (0, nodes)
    default, canary = until(
        lambda: (istiod.read_connected(DEFAULT), istiod.read_connected(REVISION)),
        lambda connected: connected == wanted,
        what=f"{nodes} ztunnels are connected to the istiod of revision {revision}, and none to the other",
        within=timeouts.DISTURBED,
        transient=(ApiUnavailable, Inconclusive),
        show=lambda connected: f"{connected[0]} to {DEFAULT}, {connected[1]} to {REVISION}",
    )
    observations.record_sighting("istiod counters", f"connected: {default} to {DEFAULT}, {canary} to {REVISION}")
    hosts = [address.removeprefix("https://").partition(".")[0] for address in ztunnel.read_istiod_addresses()]
    pods = [pod for chart in DATA_PLANE for pod in rollouts.read_pods(kube, kube.get(CHARTS["istio"][chart]))]
    versions = {
        version_in(text(container, "image")) for pod in pods for container in objects(pod, "spec", "containers")
    }
    return DataPlane(default, canary, tuple(hosts), frozenset(versions))


def _canary(upgrade: VersionUpgrade) -> Release:
    release = upgrade.releases(upgrade.after)["istiod"]
    return replace(_of_revision(release), name=f"{release.name}-{REVISION}")


def _of_revision(release: Release) -> Release:
    return replace(release, values={**release.values, "revision": REVISION})
