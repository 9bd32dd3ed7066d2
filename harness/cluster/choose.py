"""Selects the cluster of a run. The emulated one is imported only if it is selected: its packages are an extra."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.existing import ExistingCluster
from harness.cluster.kind import KindCluster
from harness.cluster.protocol import Cluster
from harness.errors import BadInput
from harness.offline_bundle import Bundle
from harness.settings import INSTALLED, Settings
from harness.tools import published
from harness.version_sets import VersionSet

FIRST = (
    "pilot",
    "install-cni",
    "ztunnel",
    "redis",
    "gateway",
    "ratelimit",
    "envoy",
)  # what the installation needs first


def choose_cluster(settings: Settings, versions: VersionSet, bundle: Bundle | None = None) -> Cluster:
    """The cluster that the settings ask for; nothing is made yet. `bundle` is where its images come from, if any.

    Raises:
        BadInput: it cannot be had as asked.
    """
    if settings.lb and settings.cluster == "emulated":
        raise BadInput("the emulated cluster has no load balancer", remedy="run without LB=1, or with CLUSTER=kind")
    if settings.prepared and (settings.cluster != "kind" or not settings.bundle):
        raise BadInput(
            "PREPARED=1 is for CLUSTER=kind with a bundle",
            remedy="`make bundle BUNDLE=bundle` makes one; or run without PREPARED=1",
        )
    match settings.cluster:
        case "kind":
            asked = "" if settings.node_image else versions.kubernetes  # a node image of one's own may hold any
            node, release = settings.node_image or versions.node, versions.node_image.kind
            if settings.node_image:
                release = published.load_published(settings.tools_file).kind_for(settings.node_image)
            label, built = versions.label, [versions.images[role] for role in versions.builds.digests]
            if settings.bundle:
                return KindCluster(
                    settings,
                    node,
                    kubernetes=asked,
                    label=label,
                    release=release,
                    built=built,
                    archives=_archives(bundle, versions) if bundle else (),
                )
            charts = [chart for chart in versions.charts.values() if chart.released]
            images = [image for role, image in versions.images.items() if versions.fetched(role)]
            return KindCluster(
                settings,
                node,
                images,
                asked,
                label,
                release=release,
                registry=versions.registry,
                charts=charts,
                built=built,
            )
        case "existing":
            return ExistingCluster(settings, versions.label)
        case "emulated":
            return _emulated(settings, versions)


def _archives(bundle: Bundle, versions: VersionSet) -> list[Path]:
    """The archives of the set's images in the order in which the installation needs them."""
    roles = sorted(filter(versions.fetched, versions.images), key=lambda role: (*FIRST, role).index(role))
    return list(dict.fromkeys(bundle.archive(versions.images[role]) for role in roles))


def cluster_of_record(settings: Settings) -> Cluster:
    """The cluster of a record, to be taken away: no version set is needed for that.

    Raises:
        BadInput: its kubeconfig is gone, or the emulated cluster's packages are.
    """
    match settings.cluster:
        case "kind":
            return KindCluster(settings, "")
        case "existing":
            return ExistingCluster(settings)
        case "emulated":
            return _emulated(settings, None)


def _emulated(settings: Settings, versions: VersionSet | None) -> Cluster:
    if settings.replicas > 1:
        raise BadInput("the emulated cluster runs one replica of each proxy", remedy="use CLUSTER=kind with REPLICAS=")
    try:
        from harness.cluster.emulated import EmulatedCluster
    except ImportError as error:
        raise BadInput(f"the emulated cluster lacks {error.name}", remedy=INSTALLED) from error
    return EmulatedCluster(settings, versions)
