"""Upgrades of a product to another version and back: its charts, and the proxies that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

from harness import timeouts
from harness.cluster.protocol import Cluster
from harness.disruption import restarts
from harness.disruption.definition_upgrade import (
    DEFINITIONS_OF,
    Replaced,
    force_older_definitions,
    read_definitions,
    replace_definitions,
)
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.disruption.upgrade_plan import CHARTS, Order, VersionUpgrade
from harness.kube import ApiUnavailable, Kube
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import text
from harness.objects.workloads import pod_containers
from harness.version_sets import VersionSet, version_in
from harness.wait import until
from harness.waits import rollouts

PROXIES = (restarts.INGRESS, restarts.WAYPOINT)  # Envoy Gateway replaces them with those of its own version


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
