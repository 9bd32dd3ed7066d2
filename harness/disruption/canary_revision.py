"""A canary upgrade of Istio by revision: a second istiod beside the first, then ztunnel, which names it, and back.

In ambient mode a revision chooses the istiod of a gateway, a waypoint of Istio's or ztunnel; ztunnel itself is one
DaemonSet, so it moves on all nodes (https://istio.io/latest/docs/ambient/upgrade/helm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from harness import timeouts
from harness.cluster.protocol import Cluster, Release
from harness.components.istiod_xds_reject_counters import Istiod
from harness.disruption import restarts
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.disruption.requested_upgrade import CHARTS, VersionUpgrade
from harness.errors import CannotJudge, Inconclusive
from harness.install.releases import with_values
from harness.kube import Kube
from harness.version_sets import VersionSet
from harness.wait import until
from harness.waits import rollouts

REVISION, DEFAULT = "canary", "default"  # the chart calls an istiod without a revision `default`
CANARY = f"{restarts.ISTIOD}-{REVISION}"
DATA_PLANE = ("cni", "ztunnel")  # in the order of Istio's documentation


@contextmanager
@touches(CANARY)
def while_canary_is_allowed(cluster: Cluster, upgrade: VersionUpgrade) -> Iterator[None]:
    """After the block there is no istiod of the revision.

    Raises:
        CannotJudge: the upgrade is not Istio's.
        NotAllowed: this cluster's control planes are not to be touched.
    """
    if upgrade.product != "istio":
        raise CannotJudge(f"{upgrade.name}: only Istio offers a canary by revision")
    check_allowed(cluster, CANARY)
    try:
        yield
    finally:
        cluster.uninstall(_canary(upgrade))


@touches(CANARY)
def install_canary(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> None:
    """Installs istiod of the newer version as the revision, and waits until it is rolled out.

    Raises:
        CommandFailed: Helm failed.
        NotReady: it did not roll out.
    """
    cluster.install(_canary(upgrade))
    rollouts.wait_for_rollout(kube, CANARY, within=timeouts.UPGRADED)


@touches(*(CHARTS["istio"][chart] for chart in DATA_PLANE))
def move_data_plane(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet, revision: str) -> None:
    """Brings Istio's CNI and ztunnel to their version in `row`, ztunnel as a client of the revision's istiod, and waits
    until every pod is a new one.

    Raises:
        CommandFailed: Helm failed.
        NotReady: one did not roll out, or kept an old pod.
        NotAllowed: this cluster's ztunnel is not to be touched.
    """
    workloads = [CHARTS["istio"][chart] for chart in DATA_PLANE]
    check_allowed(cluster, *workloads)
    releases = upgrade.releases(row)
    named = {} if revision == DEFAULT else {"revision": revision}
    with restarts.while_replacing_pods(kube, *workloads):
        for chart, workload in zip(DATA_PLANE, workloads, strict=True):
            cluster.install(with_values(releases[chart], named if chart == "ztunnel" else {}))
            rollouts.wait_for_rollout(kube, workload, within=timeouts.UPGRADED)


def wait_for_connected(istiod: Istiod, wanted: Mapping[str, int]) -> dict[str, int]:
    """Waits until as many proxies are connected to the istiod of each revision, and returns how many are.

    Raises:
        NotReady: they are not.
    """
    return until(
        lambda: {revision: istiod.count_connected(revision) for revision in wanted},
        lambda found: found == wanted,
        what=f"proxies connected to istiod by revision: {dict(wanted)}",
        within=timeouts.DISTURBED,
        transient=(Inconclusive,),
    )


def _canary(upgrade: VersionUpgrade) -> Release:
    release = upgrade.releases(upgrade.after)["istiod"]
    return with_values(replace(release, name=f"{release.name}-{REVISION}"), {"revision": REVISION})
