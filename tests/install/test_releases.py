"""The Helm releases of a version set."""

from pathlib import Path

import pytest

from harness import version_sets
from harness.install.releases import releases

ROW = version_sets.load().pick()


def test_releases_go_where_the_charts_expect() -> None:
    """Istio's four in istio-system, Envoy Gateway's as `eg` in its own namespace."""
    found = releases(ROW, None)

    assert {name: (r.name, r.namespace) for name, r in found.items()} == {
        "base": ("base", "istio-system"),
        "cni": ("cni", "istio-system"),
        "istiod": ("istiod", "istio-system"),
        "ztunnel": ("ztunnel", "istio-system"),
        "gateway-helm": ("eg", "envoy-gateway-system"),
    }


def test_charts_come_from_their_registries_or_the_bundle() -> None:
    """Without a bundle an oci:// reference with its version, with one the archive."""
    assert releases(ROW, None)["base"].chart == "oci://ghcr.io/istio/release/charts/base"
    assert releases(ROW, Path("/b/charts"))["base"].chart == "/b/charts/base-1.29.1.tgz"
    assert releases(ROW, None)["gateway-helm"].version == "v1.7.5"


@pytest.mark.parametrize("name", sorted(version_sets.load().sets))
def test_every_image_is_the_sets(name: str) -> None:
    """Hub and tag of Istio, and both images of Envoy Gateway, are said to the charts."""
    row = version_sets.load().sets[name]
    found = releases(row, None)

    for chart in ("base", "cni", "istiod", "ztunnel"):
        said = found[chart].values["global"]
        assert f"{said['hub']}/pilot:{said['tag']}-{said['variant']}" == row.images["pilot"]
    images = found["gateway-helm"].values["global"]["images"]
    assert images["envoyGateway"]["image"] == row.images["gateway"]
    assert images["ratelimit"]["image"] == row.images["ratelimit"]


def test_values_of_the_files_are_kept() -> None:
    """What manifests/values say is said too: the ambient profile, and the limiter's Redis."""
    found = releases(ROW, None)

    assert "ambient" in str(found["istiod"].values)
    assert "redis" in str(found["gateway-helm"].values).lower()
    assert found["gateway-helm"].values["crds"] == {"enabled": False}


def test_nothing_is_pulled_that_is_there() -> None:
    """With images from a bundle, a pull would need the network: no image is pulled always."""
    said = str({name: release.values for name, release in releases(ROW, None).items()})

    assert "Always" not in said
    assert "IfNotPresent" in said
