"""Bundles: what is in them is read from the archives, what lacks is named before anything starts."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import chosen_versions, offline_bundle, version_sets
from harness.errors import BadInput, SetupFailed
from harness.image_archive_reader import image_references, read_archive
from harness.install.helper_images import load_helper_image
from harness.offline_bundle import INDEX
from harness.registry.private import PrivateRegistry
from harness.settings import Settings
from tests.fakes.programs import Programs

ROW = version_sets.load().pick()
IMAGES = list(ROW.images.values())
HELPERS = [image for image in ROW.with_helpers().images.values() if image not in IMAGES]
ZEROS = f"sha256:{'0' * 64}"


def tar(path: Path, files: Mapping[str, Any] | None = None, **named: Any) -> Path:
    """An archive of these files: JSON, or bytes as they are (double underscores in keywords are dots)."""
    with tarfile.open(path, "w") as archive:
        for name, value in ({k.replace("__", "."): v for k, v in named.items()} | dict(files or {})).items():
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def docker_save(path: Path, *tags: str) -> Path:
    """What `docker save` wrote before Docker 25."""
    manifest = [{"Config": "x.json", "RepoTags": list(tags), "Layers": ["a/layer.tar"]}]
    return tar(path, {"manifest.json": manifest, "x.json": {}, "a/layer.tar": b"layer"})


class Layout:
    """An OCI image layout in the making: its blobs, and descriptors of what was added."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def add(self, value: Any, **more: Any) -> dict[str, Any]:
        """Puts a blob in; returns its descriptor."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, architecture: str, **more: Any) -> dict[str, Any]:
        """A manifest with a configuration and a layer, of that platform."""
        config, layer = self.add({"architecture": architecture}), self.add(f"layer {architecture}".encode())
        platform = {"os": "linux", "architecture": architecture}
        return self.add({"config": config, "layers": [layer]}, platform=platform, **more)

    def lose(self, descriptor: Mapping[str, Any]) -> None:
        """Takes a blob out again: what names it stays."""
        del self.blobs["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]

    def write(self, path: Path, *manifests: Mapping[str, Any], **more: Any) -> Path:
        index = {"schemaVersion": 2, "manifests": list(manifests)}
        return tar(path, {"index.json": index, **self.blobs}, **more)


def named(name: str) -> dict[str, Any]:
    """The annotation by which containerd and Docker name an image."""
    return {"annotations": {"io.containerd.image.name": name}}


def oci(path: Path, *names: str) -> Path:
    """What `ctr image export` and newer tools write."""
    layout = Layout()
    return layout.write(path, *(layout.image("amd64", **named(name)) for name in names), layout.image("amd64"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with everything, indexed."""
    whole = tmp_path / "bundle"
    (whole / "charts").mkdir(parents=True)
    (whole / "images").mkdir()
    for chart in ROW.charts.values():
        (whole / "charts" / chart.archive).write_text(chart.name)
    half = len(IMAGES) // 2
    docker_save(whole / "images" / "all.tar", *IMAGES[:half])
    oci(whole / "images" / "oci.tar", *IMAGES[half:])
    offline_bundle.write_index(whole, ROW)
    return whole


def test_docker_save_names_its_tags(tmp_path: Path) -> None:
    """Every tag of every image is a reference, with its registry; an untagged image has none."""
    tags = (["redis:6", "istio/pilot:1"], None, ["a.io/b/c:1"])
    path = tar(tmp_path / "x.tar", manifest__json=[{"Config": "x", "RepoTags": names} for names in tags], x={})

    assert image_references(path) == ["docker.io/library/redis:6", "docker.io/istio/pilot:1", "a.io/b/c:1"]


def test_oci_archive_names_its_annotations(tmp_path: Path) -> None:
    """containerd's annotation is the name; a manifest without one has none."""
    assert image_references(oci(tmp_path / "x.tar", "docker.io/library/redis:6")) == ["docker.io/library/redis:6"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"other__json": {}},
        {"manifest__json": 3},
        {"manifest__json": [3]},
        {"manifest__json": {"a": 1}},
        {"index__json": []},
        {"index__json": {}},
        {"index__json": {"manifests": None}},
        {"index__json": {"manifests": [{"annotations": {"io.containerd.image.name": 3}}]}},
        {"index__json": {"manifests": [{"digest": 3}]}},
        {"manifest__json": [{"RepoTags": ["redis:6"]}]},
    ],
)
def test_archive_of_something_else(tmp_path: Path, files: dict[str, Any]) -> None:
    """A tar without images is reported to be none."""
    path = tar(tmp_path / "x.tar", **files)

    with pytest.raises(BadInput, match=r"x\.tar is not an image archive"):
        image_references(path)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "cut gzip", "missing", "folder member"])
def test_corrupted_archive(tmp_path: Path, damage: str) -> None:
    """A damaged archive is named, whatever the damage."""
    path = docker_save(tmp_path / "x.tar", *(f"r{n}:1" for n in range(2000)))
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not a tar " * 200)
        case "cut":
            path.write_bytes(path.read_bytes()[:9000])
        case "cut gzip":
            import gzip

            path.write_bytes(gzip.compress(path.read_bytes())[:900])
        case "missing":
            path.unlink()
        case "folder member":
            with tarfile.open(path, "w") as archive:
                member = tarfile.TarInfo("manifest.json")
                member.type = tarfile.DIRTYPE
                archive.addfile(member)

    with pytest.raises(BadInput, match=r"x\.tar is not an image archive"):
        image_references(path)


def test_index_lists_charts_and_images_with_digests(folder: Path) -> None:
    """The index has each chart, each image's archive, and the digest of each file."""
    index = yaml.safe_load((folder / INDEX).read_text())

    assert index["format"] == 1
    assert index["set"] == ROW.name
    assert set(index["charts"]) == {chart.archive for chart in ROW.charts.values()}
    assert set(index["images"]) == set(IMAGES)
    entry = index["images"][IMAGES[0]]
    assert entry["file"] == "images/all.tar"
    assert entry["digest"] == "sha256:" + hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()


def test_whole_bundle_opens(folder: Path) -> None:
    """A bundle with everything gives each image's archive and the charts' folder."""
    held = offline_bundle.open_bundle(folder, ROW)

    assert {held.archive(image).name for image in IMAGES} == {"all.tar", "oci.tar"}
    assert held.charts == folder / "charts"


def test_everything_that_lacks_is_named(folder: Path) -> None:
    """Charts and images that are missing are all named, with what to do."""
    (folder / "charts" / "base-1.29.1.tgz").unlink()
    (folder / "images" / "oci.tar").unlink()

    with pytest.raises(BadInput) as caught:
        offline_bundle.open_bundle(folder, ROW)

    lacking = IMAGES[len(IMAGES) // 2 :]
    assert f"lacks {1 + len(lacking)} of what version set {ROW.name} needs: chart base-1.29.1.tgz" in str(caught.value)
    assert all(image in str(caught.value) for image in lacking)
    assert IMAGES[0] not in str(caught.value)
    assert "mesh-e2e images" in caught.value.remedy


def test_bundle_of_another_set_lacks_that_sets_images(folder: Path) -> None:
    """What counts is what is held, not which set the bundle was made for."""
    other = version_sets.load().pick("istio-1.29-eg-1.9")

    with pytest.raises(BadInput, match=rf"image docker\.io/envoyproxy/gateway:v{other.envoy_gateway}"):
        offline_bundle.open_bundle(folder, other)


def test_bundle_of_an_upgrade_holds_both_sets(folder: Path) -> None:
    """A run with UPGRADE_TO= ends before anything is made where the bundle has one of the two sets alone."""
    settings = Settings(bundle=folder, upgrade_to="istio-1.30.3")
    with pytest.raises(BadInput) as caught:
        chosen_versions.find_bundle(ROW, settings)
    assert "lacks 7 of what version set istio-1.30.3+" in str(caught.value)
    assert "chart istiod-1.30.3.tgz" in str(caught.value)

    newer = chosen_versions.upgraded(ROW, "istio-1.30.3")
    for chart in newer.charts.values():
        (folder / "charts" / chart.archive).write_text(chart.name)
    docker_save(folder / "images" / "newer.tar", *set(newer.images.values()).difference(IMAGES))
    offline_bundle.write_index(folder, ROW)
    found = chosen_versions.find_bundle(ROW, settings)

    assert found is not None
    assert found.archive(newer.images["pilot"]).name == "newer.tar"


def test_file_that_changed_since_is_reported(folder: Path) -> None:
    """An archive that is not what was indexed is not used."""
    docker_save(folder / "images" / "all.tar", "redis:6")
    (folder / "charts" / "base-1.29.1.tgz").write_text("another chart")

    with pytest.raises(BadInput) as caught:
        offline_bundle.open_bundle(folder, ROW)

    assert "images/all.tar" in str(caught.value)
    assert "charts/base-1.29.1.tgz" in str(caught.value)
    assert "--index" in caught.value.remedy


@pytest.mark.parametrize("what", ["absent", "a file"])
def test_folder_that_is_no_bundle(tmp_path: Path, what: str) -> None:
    """A folder without an index, or a file, is reported how to become one."""
    if what == "a file":
        (tmp_path / "x").touch()

    with pytest.raises(BadInput, match="is not a bundle") as caught:
        offline_bundle.open_bundle(tmp_path / "x", ROW)

    assert "make bundle" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    ["a: [", "[]", "text", "", "{format: 2, set: x, charts: {}, images: {}}", "\udcff",
     "{format: 1, set: x, charts: {}}", "{format: 1, set: x, charts: {}, images: {a: {file: x, digest: md5}}}"],
)  # fmt: skip
def test_damaged_index(folder: Path, text: str) -> None:
    """An index that is not one of ours is bad input that names the file."""
    (folder / INDEX).write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(BadInput, match=r"bundle\.yaml"):
        offline_bundle.open_bundle(folder, ROW)


def test_folder_with_nothing_to_index(tmp_path: Path) -> None:
    """An empty folder is no bundle to be."""
    with pytest.raises(BadInput, match="has 0 charts and 0 images"):
        offline_bundle.write_index(tmp_path, ROW)


def test_corrupted_archive_stops_the_index(folder: Path) -> None:
    """No index is written over a damaged archive."""
    (folder / INDEX).unlink()
    (folder / "images" / "bad.tar").write_text("x")

    with pytest.raises(BadInput, match=r"bad\.tar"):
        offline_bundle.write_index(folder, ROW)

    assert not (folder / INDEX).exists()


@pytest.fixture
def docker(programs: Programs, tmp_path: Path) -> Programs:
    """Helm, and a Docker 28 that saves a whole archive of the image that is asked for."""
    programs.have("helm", "docker")
    programs.answer("docker", "version", out="1.48 linux/arm64\n")
    programs.answer("docker", "inspect", out="null\n")
    return programs


def saves(programs: Programs, archive: Path) -> None:
    """From now on `docker save` writes a copy of this archive."""
    programs.link("cp")
    programs.script("docker", f'[ "$1" = save ] && while [ "$1" != --output ]; do shift; done && cp {archive} "$2"')


def test_blobs_of_another_platform_that_lack_are_named(tmp_path: Path) -> None:
    """The index of an image for two platforms, with the blobs of one: as Docker 29 saves it without --platform."""
    layout = Layout()
    here, there = layout.image("amd64"), layout.image("arm64")
    layout.lose(there)
    path = layout.write(tmp_path / "x.tar", layout.add({"manifests": [here, there]}, **named("redis:6")))

    found = read_archive(path)

    assert list(found.images) == ["docker.io/library/redis:6"]
    assert found.lacking == [f"{there['digest']} (manifest of linux/arm64)"]


@pytest.mark.parametrize("what", ["config", "layer"])
def test_blob_of_a_manifest_that_lacks_is_named(tmp_path: Path, what: str) -> None:
    """A manifest that is there does not stand for its configuration and layers."""
    layout = Layout()
    image = layout.image("amd64", **named("redis:6"))
    manifest = json.loads(layout.blobs["blobs/sha256/" + image["digest"].removeprefix("sha256:")])
    lost = manifest["config"] if what == "config" else manifest["layers"][0]
    layout.lose(lost)

    assert read_archive(layout.write(tmp_path / "x.tar", image)).lacking == [
        f"{lost['digest']} ({what} of linux/amd64)"
    ]


def test_docker_archive_that_lacks_a_layer(tmp_path: Path) -> None:
    """Docker's own manifest names paths; with an OCI index beside it the blobs count."""
    manifest = [{"Config": "x.json", "RepoTags": ["redis:6"], "Layers": ["a/layer.tar"]}]
    layout = Layout()
    both = layout.write(tmp_path / "y.tar", layout.image("amd64", **named("redis:6")), manifest__json=manifest)

    assert read_archive(tar(tmp_path / "x.tar", {"manifest.json": manifest, "x.json": {}})).lacking == [
        "a/layer.tar (of Docker's manifest.json)"
    ]
    assert read_archive(both).lacking == []


def test_archive_without_all_its_blobs_is_not_indexed(folder: Path) -> None:
    """`kind load` would fail on it once the cluster stands; the remedy is Docker's."""
    before = (folder / INDEX).read_text()
    layout = Layout()
    image = layout.image("amd64", **named("redis:6"))
    layout.lose(image)
    layout.write(folder / "images" / "half.tar", image)

    with pytest.raises(BadInput, match=r"half\.tar lacks 1 blobs that its index names") as caught:
        offline_bundle.write_index(folder, ROW)

    assert "docker save --platform" in caught.value.remedy
    assert (folder / INDEX).read_text() == before


def test_archive_without_all_its_blobs_is_not_opened(folder: Path) -> None:
    """One that was indexed before this was looked at is refused as well."""
    layout = Layout()
    image = layout.image("amd64", **named(IMAGES[0]))
    layout.lose(image)
    path = layout.write(folder / "images" / "half.tar", image)
    index = yaml.safe_load((folder / INDEX).read_text())
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    index["images"][IMAGES[0]] = {"file": "images/half.tar", "digest": digest}
    (folder / INDEX).write_text(yaml.safe_dump(index))

    with pytest.raises(BadInput, match=r"half\.tar lacks 1 blobs"):
        offline_bundle.open_bundle(folder, ROW)


def test_made_bundle_fetches_what_it_lacks(folder: Path, docker: Programs) -> None:
    """Only charts and images that are not there yet are fetched; where an image came from, and its digest, is kept."""
    (folder / "images" / "oci.tar").unlink()
    (folder / "charts" / "base-1.29.1.tgz").unlink()
    pulled: list[tuple[str, str]] = []
    first, *others = IMAGES[len(IMAGES) // 2 :]
    oci(folder / "images" / "others.tar", *others, *HELPERS)
    saves(docker, oci(folder / "new", first))
    docker.answer("docker", "inspect", out=json.dumps([f"other.io/a@{ZEROS}", f"{first.partition(':')[0]}@{ZEROS}"]))

    def pull(reference: str, version: str, into: Path) -> None:
        pulled.append((reference, version))
        (into / "base-1.29.1.tgz").write_text("base")

    made = offline_bundle.make_bundle(folder, ROW, pull)

    assert pulled == [(ROW.charts["base"].reference, "1.29.1")]
    assert docker.call("docker", "pull").argv == ["pull", "--quiet", "--platform", "linux/arm64", first]
    assert docker.call("docker", "save").argv[-1] == first
    assert docker.call("docker", "save").after("--platform") == "linux/arm64"
    assert made.images[first].pulled == f"{first.partition(':')[0]}@{ZEROS}"
    assert made.images[first].image == next(iter(read_archive(folder / made.images[first].file).images.values()))
    assert {made.images[image].pulled for image in others} == {""}
    assert offline_bundle.write_index(folder, ROW) == made
    assert offline_bundle.open_bundle(folder, ROW).index == made


def test_image_keeps_its_name_wherever_it_came_from(folder: Path, docker: Programs) -> None:
    """Pulled from another registry, it is saved under the name that the version set has for it."""
    image = IMAGES[-1]
    (folder / "images" / "oci.tar").unlink()
    oci(folder / "images" / "others.tar", *IMAGES[len(IMAGES) // 2 : -1], *HELPERS)
    saves(docker, oci(folder / "new", image))

    made = offline_bundle.make_bundle(folder, ROW, lambda *_: None, at=lambda reference: f"localhost:5001/{reference}")

    assert docker.call("docker", "pull").argv[-1] == f"localhost:5001/{image}"
    assert docker.call("docker", "tag").argv == ["tag", f"localhost:5001/{image}", image]
    assert docker.call("docker", "save").argv[-1] == image
    assert made.images[image].pulled == f"localhost:5001/{image}"


def test_helpers_are_fetched_and_not_required(folder: Path, docker: Programs) -> None:
    """A new bundle has them; one without them serves all runs but those of tests that need them, which name them."""
    held = offline_bundle.open_bundle(folder, ROW)
    with pytest.raises(SetupFailed, match=f"lacks image {HELPERS[0]}"):
        load_helper_image(Loading(), held, ROW, "opa")  # type: ignore[arg-type]  # a stand-in for a cluster
    saves(docker, oci(folder / "new", *HELPERS))

    offline_bundle.make_bundle(folder, ROW, lambda *_: None)

    cluster = Loading()
    load_helper_image(cluster, offline_bundle.open_bundle(folder, ROW), ROW, "opa")  # type: ignore[arg-type]  # as above
    assert [call.argv[-1] for call in docker.calls("docker", "pull")] == HELPERS
    assert [path.parent for path in cluster.loaded] == [folder / "images"]


class Loading:
    """A cluster that notes the archives it gets."""

    def __init__(self) -> None:
        self.loaded: list[Path] = []

    def load_images(self, archives: list[Path]) -> None:
        self.loaded += archives


@pytest.mark.parametrize(("api", "asks"), [("1.47", False), ("1.48", True), ("2.0", True)])
def test_older_docker_saves_without_a_platform(folder: Path, docker: Programs, api: str, asks: bool) -> None:
    """`docker save --platform` came with Docker 28 (API 1.48); `docker pull --platform` is older than all of them."""
    docker.answer("docker", "version", out=f"{api} linux/amd64\n")
    (folder / "images" / "oci.tar").unlink()
    saves(docker, oci(folder / "new", *IMAGES[len(IMAGES) // 2 :]))

    offline_bundle.make_bundle(folder, ROW, lambda *_: None)

    assert "--platform" in docker.calls("docker", "pull")[0].argv
    assert ("--platform" in docker.calls("docker", "save")[0].argv) == asks


@pytest.mark.parametrize("missing", ["helm", "docker", "Docker's engine"])
def test_without_its_programs_nothing_is_made(tmp_path: Path, docker: Programs, missing: str) -> None:
    """`make bundle` looks for helm and Docker before it makes a folder."""
    if missing in ("helm", "docker"):
        docker.lose(missing)
    docker.answer("docker", "version", code=1, err="Cannot connect to the Docker daemon")

    with pytest.raises(BadInput):
        offline_bundle.make_bundle(tmp_path / "b", ROW, lambda *_: None)

    assert not (tmp_path / "b").exists()


CALLS: dict[str, Callable[[Path], object]] = {
    "make": lambda folder: offline_bundle.make_bundle(folder, ROW, lambda *_: None),
    "index": lambda folder: offline_bundle.write_index(folder, ROW),
    "open": lambda folder: offline_bundle.open_bundle(folder, ROW),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("folder", ["/etc/passwd", "/etc/passwd/b", "/proc/b"])
def test_folder_that_cannot_be_one(docker: Programs, folder: str, call: str) -> None:
    """A file, a folder in a file, a folder where none can be made: one sentence."""
    with pytest.raises(BadInput) as caught:
        CALLS[call](Path(folder))

    assert folder in str(caught.value)


def test_index_that_is_a_folder(folder: Path) -> None:
    """A folder in place of bundle.yaml is named, when it is read and when it would be written."""
    (folder / INDEX).unlink()
    (folder / INDEX).mkdir()

    with pytest.raises(BadInput, match=r"bundle\.yaml cannot be read: Is a directory"):
        offline_bundle.open_bundle(folder, ROW)
    with pytest.raises(BadInput, match=r"bundle\.yaml: Is a directory"):
        offline_bundle.write_index(folder, ROW)


def test_image_that_cannot_be_had(folder: Path, docker: Programs) -> None:
    """An image that Docker cannot pull is named, and no half archive stays."""
    (folder / "images" / "oci.tar").unlink()
    docker.answer("docker", "pull", code=1, err="manifest unknown")

    with pytest.raises(BadInput, match=f"image {IMAGES[len(IMAGES) // 2]} is not available: manifest unknown"):
        offline_bundle.make_bundle(folder, ROW, lambda *_: None)

    assert [path.name for path in (folder / "images").iterdir()] == ["all.tar"]


def test_bundle_and_registry_are_two_sources(folder: Path) -> None:
    """Neither is preferred to the other; the command that makes one of the other is named."""
    with pytest.raises(BadInput, match="two sources") as caught:
        offline_bundle.open_bundle(folder, ROW.taken_from(PrivateRegistry("r.io")))

    assert "make mirror" in caught.value.remedy
