"""A bundle: a folder of charts and image archives with which a run needs no network. Format: docs/bundle.md."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import yaml
from pydantic import BaseModel, ConfigDict, Field

from harness import progress, timeouts
from harness.command import run
from harness.errors import BadInput, CommandFailed
from harness.versions import VersionSet

INDEX = "bundle.yaml"
NOT_SO_SHAPED = (KeyError, ValueError, TypeError, AttributeError)  # what reading another's JSON comes to
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    digest: Digest


class Index(BaseModel):
    """bundle.yaml: each chart archive, and each image reference with the archive that holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = Field(1, ge=1, le=1)
    set: str
    charts: Mapping[str, _Entry]
    images: Mapping[str, _Entry]


class Bundle:
    """A folder with its index read and its files seen to be there."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index

    @property
    def charts(self) -> Path:
        return self.folder / "charts"

    def archive(self, image: str) -> Path:
        """The archive that holds an image."""
        return self.folder / self.index.images[image].file


def open_for(folder: Path, versions: VersionSet) -> Bundle:
    """The bundle in a folder, if it holds all that the version set needs.

    Raises:
        BadInput: it is no bundle, or something is missing or not what was indexed; all of it is named, before
            anything starts.
    """
    file = folder / INDEX
    try:
        index = Index.model_validate(yaml.safe_load(file.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{folder} is no bundle: it has no {INDEX}",
            remedy=f"`make bundle BUNDLE={folder}` makes one, `mesh-e2e bundle --index {folder}` indexes a folder",
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: pydantic's, and of bytes that are no text
        raise BadInput(f"{file}: {' '.join(str(error).split())[:300]}") from None
    missing = [f"chart {c.archive}" for c in versions.charts.values() if not (folder / "charts" / c.archive).is_file()]
    for image in versions.images.values():
        entry = index.images.get(image)
        if entry is None or not (folder / entry.file).is_file():
            missing.append(f"image {image}")
    if missing:
        raise BadInput(
            f"bundle {folder} lacks {len(missing)} of what version set {versions.name} needs: " + ", ".join(missing),
            remedy="`mesh-e2e images` lists all; add archives and run `mesh-e2e bundle --index` again",
        )
    entries = [index.charts.get(chart.archive) for chart in versions.charts.values()]
    entries += [index.images[image] for image in versions.images.values()]
    held = {entry.file: entry for entry in entries if entry is not None}  # one archive may hold many images
    changed = [file for file, entry in held.items() if _entry(folder, folder / file) != entry]
    if changed:
        raise BadInput(
            f"bundle {folder}: not what was indexed: {', '.join(changed)}",
            remedy=f"if that is meant, run `mesh-e2e bundle --index {folder}` again",
        )
    return Bundle(folder, index)


def index(folder: Path, versions: VersionSet) -> Index:
    """Writes bundle.yaml for the charts and image archives that lie in a folder, however they came there.

    Raises:
        BadInput: the folder has none of either, or an archive cannot be read.
    """
    charts = {path.name: _entry(folder, path) for path in sorted((folder / "charts").glob("*.tgz"))}
    images: dict[str, _Entry] = {}
    for path in sorted((folder / "images").glob("*.tar")):
        entry = _entry(folder, path)
        images |= dict.fromkeys(references(path), entry)
    if not charts or not images:
        raise BadInput(f"{folder} has {len(charts)} charts and {len(images)} images", remedy="see docs/bundle.md")
    made = Index(format=1, set=versions.name, charts=charts, images=images)
    (folder / INDEX).write_text(yaml.safe_dump(made.model_dump(), sort_keys=False))
    return made


def references(archive: Path) -> list[str]:
    """The image names in a `docker save` or OCI archive, with their registry (docker.io/ for those without).

    Raises:
        BadInput: it is neither.
    """
    try:
        with tarfile.open(archive) as tar:
            names = tar.getnames()
            if "manifest.json" in names:
                held = json.load(tar.extractfile("manifest.json") or _no_file())
                return [full(tag) for image in held for tag in image.get("RepoTags") or []]
            held = json.load(tar.extractfile("index.json") or _no_file())
            annotations = [m.get("annotations") or {} for m in held["manifests"]]
            return [full(a["io.containerd.image.name"]) for a in annotations if "io.containerd.image.name" in a]
    except (tarfile.TarError, zlib.error, OSError, EOFError, *NOT_SO_SHAPED) as error:
        raise BadInput(f"{archive} is no image archive: {error}") from None


def full(reference: str) -> str:
    """A reference with its registry: "redis:6.0.6" is docker.io/library/redis:6.0.6."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return reference
    return f"docker.io/{reference}" if slash else f"docker.io/library/{reference}"


def make(folder: Path, versions: VersionSet, pull_chart: Callable[[str, str, Path], None]) -> Index:
    """Fetches all that a version set needs into a folder: charts by helm, images by docker."""
    (folder / "charts").mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    for chart in versions.charts.values():
        if not (folder / "charts" / chart.archive).is_file():
            with progress.stage(f"chart {chart.archive}"):
                pull_chart(chart.reference, chart.version, folder / "charts")
    for image in missing_images(folder, versions.images.values()):
        with progress.stage(f"image {image}"):
            _save(image, folder / "images" / f"{image.replace('/', '_').replace(':', '_')}.tar")
    return index(folder, versions)


def missing_images(folder: Path, images: Iterable[str]) -> list[str]:
    """Which of the images no archive of the folder holds."""
    held = {name for path in (folder / "images").glob("*.tar") for name in references(path)}
    return [image for image in images if image not in held]


def _save(image: str, archive: Path) -> None:
    partial = archive.with_suffix(".partial")
    try:
        run(["docker", "pull", "--quiet", image], within=timeouts.IMAGE_LOAD)
        run(["docker", "save", "--output", str(partial), image], within=timeouts.IMAGE_LOAD)
        partial.rename(archive)
    except CommandFailed as failed:
        partial.unlink(missing_ok=True)
        raise BadInput(f"image {image} cannot be had: {failed.output.strip()[-200:]}") from failed


def _entry(folder: Path, path: Path) -> _Entry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return _Entry(file=str(path.relative_to(folder)), digest=f"sha256:{digest}")


def _no_file() -> NoReturn:
    raise ValueError("a member of the archive is not a file")
