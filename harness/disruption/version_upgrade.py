"""Upgrades a product to another version and back, charts first, and waits for its proxies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from harness import observations, timeouts
from harness.cluster.protocol import Cluster
from harness.disruption import restarts
from harness.disruption.definition_upgrade import (
    DEFINITIONS_OF,
    force_older_definitions,
    read_definitions,
    replace_definitions,
)
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.disruption.requested_upgrade import CHARTS, Order, VersionUpgrade
from harness.errors import HarnessError, Terminal
from harness.kube import ApiUnavailable, Kube
from harness.objects.kind_namespace_name import Ref
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import text
from harness.objects.workloads import is_pod_ready, pod_containers
from harness.version_sets import VersionSet, version_in
from harness.wait import until
from harness.waits import rollouts

LAST_LINES = 5  # of the log of a pod that did not start
PROXIES = (restarts.INGRESS, restarts.WAYPOINT)  # Envoy Gateway replaces them with those of its own version


def load_images(cluster: Cluster, upgrade: VersionUpgrade) -> None:
    """Loads what the version after needs and the one before does not, where images come from a bundle: the time of an
    upgrade is not that of its images."""
    if upgrade.bundle:
        new = [image for role, image in upgrade.after.images.items() if image != upgrade.before.images[role]]
        cluster.load_images([upgrade.bundle.archive(image) for image in new])


@touches(*(workload for charts in CHARTS.values() for workload in charts.values()))
def upgrade_product(
    cluster: Cluster,
    kube: Kube,
    upgrade: VersionUpgrade,
    row: VersionSet,
    *,
    when_stuck: Callable[[], object] | None = None,
) -> str:
    """Brings the product to its version in `row`, chart by chart, and waits until every pod is of that version: with
    Envoy Gateway also the rate limit service and the proxies of the ingress and the waypoint, whose image an EnvoyProxy
    may name. Definitions stay as they are. Where a new pod cannot start, `when_stuck` is called, the pod is deleted,
    and the wait begins again. Returns what was seen of such a pod, or nothing.

    Raises:
        CommandFailed: Helm failed.
        NotReady: a workload did not roll out, or kept an old pod.
        NotAllowed: this cluster's control planes are not to be touched.
    """
    workloads = CHARTS[upgrade.product]
    check_allowed(cluster, *workloads.values())
    followers = [Placement(kube.namespace).text(proxy) for proxy in PROXIES] if upgrade.product == "eg" else []
    with restarts.while_replacing_pods(kube, *workloads.values(), *followers):
        seen = _roll_out(cluster, kube, upgrade, row, when_stuck)
    if followers:
        rollouts.wait_for_rollout(kube, restarts.LIMITER, within=timeouts.DISTURBED)
    return seen


def _roll_out(
    cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, row: VersionSet, when_stuck: Callable[[], object] | None
) -> str:
    seen = ""
    for chart, release in upgrade.releases(row).items():
        workload = CHARTS[upgrade.product][chart]
        cluster.install(release)
        try:
            rollouts.wait_for_rollout(kube, workload, within=timeouts.UPGRADED)
        except Terminal as error:
            if when_stuck is None:
                raise
            failing = [pod for pod in rollouts.read_pods(kube, kube.get(workload)) if not is_pod_ready(pod)]
            seen = "\n".join([str(error), *(_end_of_log(kube, pod) for pod in failing)])
            observations.record_sighting(f"log of {workload}", seen)
            when_stuck()
            kube.delete([Ref("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"], "v1") for pod in failing])
            rollouts.wait_for_rollout(kube, workload, within=timeouts.UPGRADED)
    if upgrade.product == "eg":
        kube.apply(upgrade.proxies(row))
        for proxy in PROXIES:
            _wait_for_envoy(kube, Placement(kube.namespace).text(proxy), row.envoy)
    return seen


def _end_of_log(kube: Kube, pod: Document) -> str:
    """The last lines of a container that has ended."""
    name, container = pod["metadata"]["name"], text(next(iter(pod["spec"]["containers"])), "name")
    try:
        lines = kube.read_log(pod["metadata"]["namespace"], name, container, previous=True).splitlines()
    except HarnessError as error:
        return f"{name}: its log cannot be read: {error}"
    return "\n".join(lines[-LAST_LINES:])


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
) -> dict[Literal["definitions", "charts"], Callable[[], Any]]:
    """The two steps of an upgrade, in that order: `replace_definitions` and `upgrade_product`. A newer version that
    does not start without its definitions gets them once that has been seen."""
    definitions = partial(replace_definitions, cluster, kube, upgrade, upgrade.after)
    charts = partial(upgrade_product, cluster, kube, upgrade, upgrade.after)
    if order == "definitions first":
        return {"definitions": definitions, "charts": charts}
    if upgrade.waits_for_definitions:
        charts = partial(charts, when_stuck=definitions)
    return {"charts": charts, "definitions": definitions}


@contextmanager
@touches(*(workload for charts in CHARTS.values() for workload in charts.values()), DEFINITIONS_OF)
def while_upgraded(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade) -> Iterator[None]:
    """After the block the product and its definitions are of the version before, whatever has failed in it."""
    check_allowed(cluster, *CHARTS[upgrade.product].values(), DEFINITIONS_OF)
    definitions = read_definitions(kube, upgrade)
    try:
        yield
    except Exception as first:
        try:
            _put_back(cluster, kube, upgrade, definitions)
        except HarnessError as error:
            raise first from error  # what failed first is what the run is about
        raise
    _put_back(cluster, kube, upgrade, definitions)


def _put_back(cluster: Cluster, kube: Kube, upgrade: VersionUpgrade, definitions: frozenset[str]) -> None:
    if upgrade.running(kube) != upgrade.version(upgrade.before):
        _roll_out(cluster, kube, upgrade, upgrade.before, None)
    if read_definitions(kube, upgrade) != definitions:
        force_older_definitions(cluster, kube, upgrade)
