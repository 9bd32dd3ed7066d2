"""Images of helper programs that some tests start, each loaded when first needed."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.protocol import Cluster
from harness.errors import SetupFailed
from harness.offline_bundle import Bundle
from harness.version_sets import VersionSet


def load_helper_image(cluster: Cluster, bundle: Bundle | None, versions: VersionSet, role: str) -> None:
    """Puts a helper's image on the nodes, from the bundle; without a bundle they pull it.

    Raises:
        SetupFailed: the bundle does not have it.
    """
    if bundle is not None:
        cluster.load_images([helper_archive(bundle, versions, role)])


def helper_archive(bundle: Bundle, versions: VersionSet, role: str) -> Path:
    """The archive of a helper's image in a bundle.

    Raises:
        SetupFailed: the bundle does not have it.
    """
    image = versions.with_helpers().images[role]
    if image not in bundle.index.images:
        raise SetupFailed(
            f"bundle {bundle.folder} lacks image {image}", remedy=f"`mesh-e2e bundle {bundle.folder}` adds it"
        )
    return bundle.archive(image)
