"""Builds that are not released: charts and images in place of a set's, loaded from Docker, marked in every report."""

import json
from pathlib import Path

import pytest

from harness import chosen_versions, offline_bundle
from harness.cluster.choose import choose_cluster
from harness.errors import BadInput
from harness.image_pins_and_pull_secrets import with_pull_secrets
from harness.install.releases import make_releases
from harness.report.results import versions_known, versions_of
from harness.settings import Settings

ID = "sha256:" + "ab" * 32
DOCKER = f"""#!/bin/sh
case "$*" in *gateway:dev*) echo {ID};; *) exit 1;; esac
"""


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker that holds one image."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/docker").write_text(DOCKER)
    (tmp_path / "bin/docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def chart(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: x\nversion: 0.0.0\n")
    return folder


def istio_tree(root: Path) -> Path:
    """Charts as Istio's own tree has them."""
    for place in ("base", "istio-cni", "istio-control/istio-discovery", "ztunnel"):
        chart(root / place)
    return root


def test_nothing_asked_is_the_set() -> None:
    """Without builds a set is as it was."""
    row = chosen_versions.version_set(Settings())

    assert row == chosen_versions.named("")
    assert row.builds.roles == ()


def test_builds_take_the_place_of_releases(tmp_path: Path) -> None:
    """Charts become paths, images those that were named, with the tag as it is; all else stays the set's."""
    charts, gateway = istio_tree(tmp_path / "charts"), chart(tmp_path / "gateway-helm")
    row = chosen_versions.version_set(
        Settings(
            eg_image="me/gateway:dev",
            eg_chart=str(gateway),
            istio_hub="r.io/me/",
            istio_tag="pr-1",
            istio_charts=str(charts),
        )
    )
    plain = chosen_versions.named("")

    assert row.images["gateway"] == "me/gateway:dev"
    assert row.images["ztunnel"] == "r.io/me/ztunnel:pr-1"
    assert row.images["redis"] == plain.images["redis"]
    assert row.charts["istiod"].reference == str(charts / "istio-control/istio-discovery")
    assert row.charts["gateway-helm"].reference == str(gateway)
    assert row.label != plain.label
    installed = make_releases(row, None)
    assert installed["istiod"].values["global"] == {
        "tag": "pr-1", "variant": "", "hub": "r.io/me", "imagePullPolicy": "IfNotPresent"
    }  # fmt: skip
    assert installed["gateway-helm"].chart == str(gateway)


def test_image_of_docker_is_loaded_and_no_other() -> None:
    """What Docker holds is loaded into the nodes and pulled by none of them; what it lacks is pulled."""
    row = chosen_versions.version_set(Settings(eg_image="me/gateway:dev", envoy_image="r.io/envoy:dev"))
    cluster = choose_cluster(Settings(), row)

    assert row.builds.digests == {"gateway": ID}
    assert vars(cluster)["_built"] == ["me/gateway:dev"]
    assert "me/gateway:dev" not in vars(cluster)["_pulled"]
    assert "r.io/envoy:dev" in vars(cluster)["_pulled"]


def test_reports_say_who_built_it() -> None:
    """Each version of a build is marked with the digest, in what every report is made of."""
    row = chosen_versions.version_set(Settings(eg_image="me/gateway:dev", istio_tag="pr-1"))
    marked = versions_known(row, {"envoy-gateway": "dev", "redis": "6.0.6"}, ours=True)

    assert marked["envoy-gateway"] == f"dev (built by somebody: {ID})"
    assert marked["istio"] == "pr-1 (asked for) (built by somebody: digest in setup/images.txt)"
    assert marked["redis"] == "6.0.6"
    assert versions_of(row)["envoy-gateway"] == "dev"


def test_build_of_envoy_is_named_to_envoy_gateway() -> None:
    """Each class has an EnvoyProxy that names the image."""
    row = chosen_versions.version_set(Settings(envoy_image="r.io/envoy:dev"))
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    classes = [{"kind": "GatewayClass", "metadata": {"name": "a"}, "spec": {"controllerName": controller}}]

    proxy = with_pull_secrets(classes, row)[0]

    assert proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["container"]["image"] == "r.io/envoy:dev"


def test_bundle_need_not_hold_a_build(tmp_path: Path) -> None:
    """A bundle of the release serves a run with a build: what is missing is named without it."""
    row = chosen_versions.version_set(Settings(eg_image="me/gateway:dev", eg_chart=str(chart(tmp_path / "c"))))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/bundle.yaml").write_text(json.dumps({"format": 1, "set": "x", "charts": {}, "images": {}}))

    with pytest.raises(BadInput) as caught:
        offline_bundle.open_bundle(tmp_path / "b", row)

    assert "gateway:dev" not in str(caught.value)
    assert "gateway-helm" not in str(caught.value)
    assert "chart istiod-1.29.1.tgz" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"eg_chart": "/nowhere"}, "EG_CHART=/nowhere is not a chart"),
        ({"istio_charts": "/nowhere"}, "lacks base, cni, istiod, ztunnel"),
        ({"eg_image": "me/gateway"}, "me/gateway has no tag"),
        ({"eg_image": "Me/Gateway:x"}, "is not a reference"),
    ],
)
def test_build_that_is_not_there(asked: dict[str, str], why: str) -> None:
    """One sentence with the remedy, before anything is made."""
    with pytest.raises(BadInput, match=why):
        chosen_versions.version_set(Settings(**asked))
