"""`helm upgrade` of installed releases to changed values, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from harness import timeouts
from harness.cluster.protocol import Cluster, Release
from harness.disruption import restarts
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.kube import Kube
from harness.waits import rollouts

# The workload whose pods a chart's upgrade replaces, by release name.
WORKLOADS = {"ztunnel": restarts.ZTUNNEL, "istiod": restarts.ISTIOD, "eg": restarts.CONTROLLER}


@touches(*WORKLOADS.values())
def upgrade_releases(cluster: Cluster, kube: Kube, *releases: Release) -> None:
    """Upgrades releases one by one, and waits until all their workloads' pods are new ones.

    Raises:
        CommandFailed: helm failed.
        NotReady: an upgrade did not roll out, or replaced no pod.
        NotAllowed: this cluster's control planes and ztunnel are not to be touched.
    """
    check_allowed(cluster, *(WORKLOADS[release.name] for release in releases))
    with restarts.while_replacing_pods(kube, *(WORKLOADS[release.name] for release in releases)):
        for release in releases:
            cluster.install(release)


@contextmanager
@touches(*WORKLOADS.values())
def while_releases_change(cluster: Cluster, kube: Kube, before: Mapping[str, Release]) -> Iterator[None]:
    """After the block each of these releases is as it was: what the block has put back itself is left alone."""
    check_allowed(cluster, *(WORKLOADS[name] for name in before if name in WORKLOADS))
    try:
        yield
    finally:
        for release in before.values():
            cluster.install(release)
        for release in before.values():
            rollouts.wait_for_rollout(kube, WORKLOADS[release.name], within=timeouts.DISTURBED)
