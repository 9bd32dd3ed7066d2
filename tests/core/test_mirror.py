"""A registry is filled: from the public ones, from another, from a bundle. Registries in memory, archives by hand."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from harness import mirror, offline_bundle, version_sets
from harness.cluster import registry_caches
from harness.errors import BadInput, SetupFailed
from harness.helm import Helm
from harness.image_archive_reader import read_complete
from harness.registry.api import RegistryApi
from harness.registry.private import PrivateRegistry
from harness.registry.reference import parse_reference
from tests.core.test_offline_bundle import Layout, docker_save, named, tar
from tests.fakes.programs import Programs
from tests.fakes.registry import FakeRegistry

ROW = version_sets.load().pick()
TARGET = PrivateRegistry("r.test", "m")
WANTED = list(dict.fromkeys([*ROW.with_helpers().images.values(), registry_caches.IMAGE, ROW.node]))
WANTED += [f"{c.reference}:{c.version}" for c in ROW.charts.values()]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, FakeRegistry]:
    """Registries by host; each is made when it is first spoken to. Nobody is logged in anywhere."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    found: dict[str, FakeRegistry] = {}

    def api(host: str, **words: Any) -> RegistryApi:
        words["transport"] = found.setdefault(host, FakeRegistry()).transport
        return RegistryApi(host, **words)

    monkeypatch.setattr(mirror, "RegistryApi", api)
    monkeypatch.setattr(mirror, "check_registry", lambda _: None)
    return found


def publish(network: dict[str, FakeRegistry], at: PrivateRegistry | None = None) -> None:
    """Everything that is wanted, where it is public or in a registry; the node image under its digest."""
    for one in WANTED:
        place = parse_reference(at.rewrite(one) if at else one)
        registry = network.setdefault(place.registry, FakeRegistry())
        digest = registry.put_index(place.repository, place.tag, "amd64", "arm64")
        if place.digest:  # a digest that nobody can make data for: it stands for its content here
            registry.manifests[place.repository, place.digest] = registry.manifests[place.repository, digest]


def unpinned(row: version_sets.VersionSet) -> version_sets.VersionSet:
    """The set with a node image whose digest is that of what the registries here have."""
    registry = FakeRegistry()
    digest = registry.put_index("kindest/node", "v1.34.3", "amd64", "arm64")
    image = f"{row.node.partition('@')[0]}@{digest}"
    return row.model_copy(update={"node_image": row.node_image.model_copy(update={"image": image})})


@pytest.mark.parametrize("source", [None, PrivateRegistry("other.test", "x")])
def test_registry_is_filled(network: dict[str, FakeRegistry], source: PrivateRegistry | None) -> None:
    """Every chart and image of the set, the node's and the caches' too, is found where the set then looks for it."""
    row = unpinned(ROW)
    publish(network, source)

    done = mirror.mirror_from_registries(row, TARGET, source)

    there = network["r.test"].manifests
    for one in WANTED:
        place = parse_reference(TARGET.rewrite(one))
        assert (place.repository, place.tag) in there
    assert len(done) == len(WANTED)
    assert all(one.copied for one in done)
    assert set(network) == {"r.test", *({"other.test"} if source else {"docker.io", "gcr.io", "ghcr.io"})}
    assert not any(one.copied for one in mirror.mirror_from_registries(row, TARGET, source))


def test_what_cannot_be_had_is_named(network: dict[str, FakeRegistry]) -> None:
    """By its reference, with the registry."""
    row = unpinned(ROW)
    publish(network)
    image = parse_reference(ROW.images["envoy"])
    del network["docker.io"].manifests[image.repository, image.tag]

    with pytest.raises(SetupFailed, match=f"{image.repository}:{image.tag}"):
        mirror.mirror_from_registries(row, TARGET, None)


def test_login_that_is_wanted_is_named(network: dict[str, FakeRegistry]) -> None:
    """The registry that is to be filled wants one."""
    publish(network)
    network["r.test"] = FakeRegistry("basic")

    with pytest.raises(BadInput) as caught:
        mirror.mirror_from_registries(unpinned(ROW), TARGET, None)

    assert "docker login r.test" in caught.value.remedy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle: half of its images as OCI archives, half as old Docker wrote them."""
    made = tmp_path / "bundle"
    (made / "charts").mkdir(parents=True)
    (made / "images").mkdir()
    for chart in ROW.charts.values():
        (made / "charts" / chart.archive).write_text(chart.name)
    images = list(ROW.images.values())
    layout = Layout()
    layout.write(made / "images" / "oci.tar", *(layout.image(image, **named(image)) for image in images[:8]))
    docker_save(made / "images" / "old.tar", *images[8:])
    offline_bundle.write_index(made, ROW)
    return made


def test_registry_is_filled_from_a_bundle(
    network: dict[str, FakeRegistry], folder: Path, tmp_path: Path, programs: Programs, notes: list[tuple[str, str]]
) -> None:
    """Images keep the digest of their archive; helm puts in the charts; a node image that nobody has is reported."""
    programs.have("helm", "docker")
    programs.answer("docker", "image", "inspect", code=1)

    done = mirror.mirror_from_bundle(ROW, TARGET, folder, Helm(tmp_path, "", tmp_path, TARGET))

    there = network["r.test"].manifests
    for image in ROW.images.values():
        assert (parse_reference(TARGET.rewrite(image)).repository, parse_reference(image).tag) in there
    for image, digest in read_complete(folder / "images" / "oci.tar").images.items():
        assert (parse_reference(TARGET.rewrite(image)).repository, digest) in there
    assert {call.argv[2] for call in programs.calls("helm", "push")} == {
        "oci://r.test/m/istio/release/charts",
        "oci://r.test/m/envoyproxy",
    }
    assert len(programs.calls("helm", "push")) == 5
    assert sum(one.copied for one in done) == len(ROW.images) + 5
    assert any("not mirrored" in text for _, text in notes)


def test_chart_that_is_there_is_not_pushed(
    network: dict[str, FakeRegistry], folder: Path, tmp_path: Path, programs: Programs
) -> None:
    """A chart's archive is the layer of its manifest."""
    programs.have("helm", "docker")
    programs.answer("docker", "image", "inspect", code=1)
    registry = network["r.test"] = FakeRegistry()
    content = f"sha256:{hashlib.sha256(b'base').hexdigest()}"
    registry._put("m/istio/release/charts/base", "1.29.1", {"layers": [{"digest": content}]}, "x")

    mirror.mirror_from_bundle(ROW, TARGET, folder, Helm(tmp_path, "", tmp_path, TARGET))

    assert not [call for call in programs.calls("helm", "push") if "base-1.29.1.tgz" in call.argv[1]]
    assert len(programs.calls("helm", "push")) == 4


def test_node_image_comes_from_docker(
    network: dict[str, FakeRegistry], folder: Path, tmp_path: Path, programs: Programs, notes: list[tuple[str, str]]
) -> None:
    """Saved by Docker it may have another digest than the published one: then the name to be given is reported."""
    layout = Layout()
    saved = layout.write(tmp_path / "node.tar", layout.image("amd64"))
    programs.have("helm")
    programs.link("cp")
    programs.script("docker", f'[ "$1" = save ] && while [ "$1" != --output ]; do shift; done && cp {saved} "$2"')
    programs.answer("docker", "version", out="1.48 linux/amd64")

    done = mirror.mirror_from_bundle(ROW, TARGET, folder, Helm(tmp_path, "", tmp_path, TARGET))

    assert done[-1].name == f"r.test/m/kindest/node:{parse_reference(ROW.node).tag}"
    assert ("m/kindest/node", parse_reference(ROW.node).tag) in network["r.test"].manifests
    assert any(f"NODE_IMAGE={done[-1].name}" in text for _, text in notes)


def test_archive_without_a_name_is_no_node_image(tmp_path: Path) -> None:
    """An archive that is none is refused as everywhere."""
    with pytest.raises(BadInput, match="not an image archive"), mirror.Archive(tar(tmp_path / "x.tar", x=1)):
        pass
