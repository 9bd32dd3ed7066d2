"""Bundles: what is in them is read from the archives, what lacks is named before anything starts."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import bundle, versions
from harness.bundle import INDEX, full, references
from harness.errors import BadInput
from tests.fakes.programs import Programs

ROW = versions.load().pick()
IMAGES = list(ROW.images.values())


def tar(path: Path, **files: Any) -> Path:
    """An archive of these JSON files (double underscores are dots)."""
    with tarfile.open(path, "w") as archive:
        for name, value in files.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def docker_save(path: Path, *tags: str) -> Path:
    """What `docker save` writes."""
    return tar(path, manifest__json=[{"Config": "x.json", "RepoTags": list(tags), "Layers": []}])


def oci(path: Path, *names: str) -> Path:
    """What `ctr image export` and newer tools write."""
    manifests = [{"digest": "sha256:00", "annotations": {"io.containerd.image.name": name}} for name in names]
    return tar(path, index__json={"schemaVersion": 2, "manifests": [*manifests, {"digest": "sha256:11"}]})


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
    bundle.index(whole, ROW)
    return whole


def test_docker_save_names_its_tags(tmp_path: Path) -> None:
    """Every tag of every image is a reference, with its registry; an untagged image has none."""
    path = tar(
        tmp_path / "x.tar",
        manifest__json=[{"RepoTags": ["redis:6", "istio/pilot:1"]}, {"RepoTags": None}, {"RepoTags": ["a.io/b/c:1"]}],
    )

    assert references(path) == ["docker.io/library/redis:6", "docker.io/istio/pilot:1", "a.io/b/c:1"]


def test_oci_archive_names_its_annotations(tmp_path: Path) -> None:
    """containerd's annotation is the name; a manifest without one has none."""
    assert references(oci(tmp_path / "x.tar", "docker.io/library/redis:6")) == ["docker.io/library/redis:6"]


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("redis:6.0.6", "docker.io/library/redis:6.0.6"),
        ("istio/pilot:1", "docker.io/istio/pilot:1"),
        ("gcr.io/a/b:1", "gcr.io/a/b:1"),
        ("localhost/b:1", "localhost/b:1"),
        ("localhost:5000/b:1", "localhost:5000/b:1"),
        ("docker.io/library/redis", "docker.io/library/redis"),
        ("redis", "docker.io/library/redis"),
    ],
)
def test_reference_with_its_registry(name: str, whole: str) -> None:
    """Docker's short names are Docker Hub's."""
    assert full(name) == whole


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
        {"index__json": {"manifests": [{"annotations": None}]}, "x": 1},
        {"index__json": {"manifests": [{"annotations": {"io.containerd.image.name": 3}}]}},
    ],
)
def test_archive_of_something_else(tmp_path: Path, files: dict[str, Any]) -> None:
    """A tar without images is told to be none."""
    path = tar(tmp_path / "x.tar", **files)

    if files.get("x"):
        assert references(path) == []  # a manifest may well have no annotations
        return
    with pytest.raises(BadInput, match=r"x\.tar is no image archive"):
        references(path)


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

    with pytest.raises(BadInput, match=r"x\.tar is no image archive"):
        references(path)


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
    held = bundle.open_for(folder, ROW)

    assert {held.archive(image).name for image in IMAGES} == {"all.tar", "oci.tar"}
    assert held.charts == folder / "charts"


def test_everything_that_lacks_is_named(folder: Path) -> None:
    """Charts and images that are missing are all named, with what to do."""
    (folder / "charts" / "base-1.29.1.tgz").unlink()
    (folder / "images" / "oci.tar").unlink()

    with pytest.raises(BadInput) as caught:
        bundle.open_for(folder, ROW)

    lacking = IMAGES[len(IMAGES) // 2 :]
    assert f"lacks {1 + len(lacking)} of what version set {ROW.name} needs: chart base-1.29.1.tgz" in str(caught.value)
    assert all(image in str(caught.value) for image in lacking)
    assert IMAGES[0] not in str(caught.value)
    assert "mesh-e2e images" in caught.value.remedy


def test_bundle_of_another_set_lacks_that_sets_images(folder: Path) -> None:
    """What counts is what is held, not which set the bundle was made for."""
    other = versions.load().pick("istio-1.29-eg-1.9")

    with pytest.raises(BadInput, match=rf"image docker\.io/envoyproxy/gateway:v{other.envoy_gateway}"):
        bundle.open_for(folder, other)


def test_file_that_changed_since_is_told(folder: Path) -> None:
    """An archive that is not what was indexed is not used."""
    docker_save(folder / "images" / "all.tar", "redis:6")
    (folder / "charts" / "base-1.29.1.tgz").write_text("another chart")

    with pytest.raises(BadInput) as caught:
        bundle.open_for(folder, ROW)

    assert "images/all.tar" in str(caught.value)
    assert "charts/base-1.29.1.tgz" in str(caught.value)
    assert "--index" in caught.value.remedy


@pytest.mark.parametrize("what", ["absent", "a file"])
def test_folder_that_is_no_bundle(tmp_path: Path, what: str) -> None:
    """A folder without an index, or a file, is told how to become one."""
    if what == "a file":
        (tmp_path / "x").touch()

    with pytest.raises(BadInput, match="is no bundle") as caught:
        bundle.open_for(tmp_path / "x", ROW)

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
        bundle.open_for(folder, ROW)


def test_folder_with_nothing_to_index(tmp_path: Path) -> None:
    """An empty folder is no bundle to be."""
    with pytest.raises(BadInput, match="has 0 charts and 0 images"):
        bundle.index(tmp_path, ROW)


def test_corrupted_archive_stops_the_index(folder: Path) -> None:
    """No index is written over a damaged archive."""
    (folder / INDEX).unlink()
    (folder / "images" / "bad.tar").write_text("x")

    with pytest.raises(BadInput, match=r"bad\.tar"):
        bundle.index(folder, ROW)

    assert not (folder / INDEX).exists()


def test_made_bundle_fetches_what_it_lacks(folder: Path, programs: Programs) -> None:
    """Only charts and images that are not there yet are fetched."""
    (folder / "images" / "oci.tar").unlink()
    (folder / "charts" / "base-1.29.1.tgz").unlink()
    pulled: list[tuple[str, str]] = []

    def pull(reference: str, version: str, into: Path) -> None:
        pulled.append((reference, version))
        (into / "base-1.29.1.tgz").write_text("base")

    programs.have("docker")
    with pytest.raises(FileNotFoundError):  # the fake docker saves nothing: the first rename tells
        bundle.make(folder, ROW, pull)

    assert pulled == [(ROW.charts["base"].reference, "1.29.1")]
    first = IMAGES[len(IMAGES) // 2]
    assert programs.call("docker", "pull").argv[-1] == first
    assert programs.call("docker", "save").argv[-1] == first


def test_image_that_cannot_be_had(folder: Path, programs: Programs) -> None:
    """An image that Docker cannot pull is named, and no half archive stays."""
    (folder / "images" / "oci.tar").unlink()
    programs.have("docker")
    programs.answer("docker", "pull", code=1, err="manifest unknown")

    with pytest.raises(BadInput, match=f"image {IMAGES[len(IMAGES) // 2]} cannot be had: manifest unknown"):
        bundle.make(folder, ROW, lambda *_: None)

    assert [path.name for path in (folder / "images").iterdir()] == ["all.tar"]
