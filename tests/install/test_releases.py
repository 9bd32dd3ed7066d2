"""The Helm releases of a version set."""

from pathlib import Path

import pytest

from harness import version_sets
from harness.install.releases import make_releases
from harness.offline_bundle import Bundle, Index

ROW = version_sets.load().pick()


def test_releases_go_where_the_charts_expect() -> None:
    """Istio's four in istio-system, Envoy Gateway's as `eg` in its own namespace."""
    found = make_releases(ROW, None)

    assert {name: (r.name, r.namespace) for name, r in found.items()} == {
        "base": ("base", "istio-system"),
        "cni": ("cni", "istio-system"),
        "istiod": ("istiod", "istio-system"),
        "ztunnel": ("ztunnel", "istio-system"),
        "gateway-helm": ("eg", "envoy-gateway-system"),
    }


def test_charts_come_from_their_registries_or_the_bundle() -> None:
    """Without a bundle an oci:// reference with its version, with one the archive."""
    bundle = Bundle(Path("/b"), Index(format=1, set="", charts={}, images={}))

    assert make_releases(ROW, None)["base"].chart == "oci://ghcr.io/istio/release/charts/base"
    assert make_releases(ROW, bundle)["base"].chart == "/b/charts/base-1.29.1.tgz"
    assert make_releases(ROW, None)["gateway-helm"].version == "v1.7.5"


@pytest.mark.parametrize("name", sorted(version_sets.load().sets))
def test_every_image_is_the_sets(name: str) -> None:
    """Hub and tag of Istio, and both images of Envoy Gateway, are reported to the charts."""
    row = version_sets.load().sets[name]
    found = make_releases(row, None)

    for chart in ("base", "cni", "istiod", "ztunnel"):
        global_values = found[chart].values["global"]
        assert f"{global_values['hub']}/pilot:{global_values['tag']}-{global_values['variant']}" == row.images["pilot"]
    images = found["gateway-helm"].values["global"]["images"]
    assert images["envoyGateway"]["image"] == row.images["gateway"]
    assert images["ratelimit"]["image"] == row.images["ratelimit"]


def test_values_of_the_files_are_kept() -> None:
    """What manifests/values say is reported too: the ambient profile, and the limiter's Redis."""
    found = make_releases(ROW, None)

    assert "ambient" in str(found["istiod"].values)
    assert "redis" in str(found["gateway-helm"].values).lower()
    assert found["gateway-helm"].values["crds"] == {"enabled": False}


def test_nothing_is_pulled_that_is_there() -> None:
    """With images from a bundle, a pull would need the network: no image is pulled always."""
    message = str({name: release.values for name, release in make_releases(ROW, None).items()})

    assert "Always" not in message
    assert "IfNotPresent" in message
