"""Bundles of charts and image archives for runs without a network. Format: docs/bundle.md."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from harness import image_archive_reader, progress, timeouts
from harness.command import run, which
from harness.errors import BadInput, CommandFailed
from harness.pydantic_message import validate_file
from harness.registry.reference import parse_reference
from harness.strict_yaml import parse_yaml
from harness.version_sets import VersionSet

INDEX = "bundle.yaml"
SAVES_A_PLATFORM = (1, 48)  # the Docker API, and so Docker 28, from which `docker save --platform` works
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    digest: Digest


class _Image(_Entry):
    """An image's archive. `image`: the digest of the image in it, empty where the archive has none; `pulled`: where it
    came from with its digest there, empty for an archive that was put there by hand."""

    image: Digest | Literal[""] = ""
    pulled: str = ""


class Index(BaseModel):
    """bundle.yaml: each chart archive, and each image reference with the archive that holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: int = Field(1, ge=1, le=1)
    set: str
    charts: Mapping[str, _Entry]
    images: Mapping[str, _Image]


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


def open_bundle(folder: Path, versions: VersionSet) -> Bundle:
    """The bundle in a folder, if it holds all that the version set needs.

    Raises:
        BadInput: it is no bundle, or something is missing or not what was indexed; all of it is named, before
            anything starts. Or a private registry is asked for as well.
    """
    if versions.registry:
        raise BadInput(
            f"BUNDLE={folder} and REGISTRY={versions.registry} are two sources of the same images",
            remedy="leave one of them out; `make mirror` fills a registry from a bundle",
        )
    index = _index(folder)
    charts = [chart for chart in versions.charts.values() if chart.released]
    images = [image for role, image in versions.images.items() if versions.fetched(role)]
    missing = [f"chart {c.archive}" for c in charts if not (folder / "charts" / c.archive).is_file()]
    for image in images:
        entry = index.images.get(image)
        if entry is None or not (folder / entry.file).is_file():
            missing.append(f"image {image}")
    if missing:
        raise BadInput(
            f"bundle {folder} lacks {len(missing)} of what version set {versions.name} needs: " + ", ".join(missing),
            remedy="`mesh-e2e images` lists all; add archives and run `mesh-e2e bundle --index` again",
        )
    entries = [index.charts.get(chart.archive) for chart in charts]
    entries += [index.images[image] for image in images]
    held = {entry.file: entry for entry in entries if entry is not None}  # one archive may hold many images
    changed = [file for file, entry in held.items() if _digest(folder / file) != entry.digest]
    if changed:
        raise BadInput(
            f"bundle {folder}: files differ from the index: {', '.join(changed)}",
            remedy=f"if this is intended, run `mesh-e2e bundle --index {folder}` again",
        )
    for file in dict.fromkeys(index.images[image].file for image in images):
        image_archive_reader.read_complete(folder / file)
    return Bundle(folder, index)


def write_index(folder: Path, versions: VersionSet, pulled: Mapping[str, str] | None = None) -> Index:
    """Writes bundle.yaml for the charts and image archives that lie in a folder, however they came there. `pulled` says
    for images where they were pulled from; what an earlier index says of unchanged archives stays.

    Raises:
        BadInput: the folder has none of either, or an archive cannot be read or lacks blobs; nothing is written.
    """
    with _possible(folder):
        charts = {path.name: _entry(folder, path) for path in sorted((folder / "charts").glob("*.tgz"))}
        images: dict[str, _Image] = {}
        for path in sorted((folder / "images").glob("*.tar")):
            found, entry = image_archive_reader.read_complete(path), _entry(folder, path)
            images |= {name: _Image(**entry.model_dump(), image=digest) for name, digest in found.images.items()}
        if not charts or not images:
            raise BadInput(f"{folder} has {len(charts)} charts and {len(images)} images", remedy="see docs/bundle.md")
        sources = _sources(folder, images) | dict(pulled or {})
        images = {name: one.model_copy(update={"pulled": sources.get(name, "")}) for name, one in images.items()}
        made = Index(format=1, set=versions.name, charts=charts, images=images)
        (folder / INDEX).write_text(yaml.safe_dump(made.model_dump(), sort_keys=False))
    return made


def make_bundle(
    folder: Path,
    versions: VersionSet,
    pull_chart: Callable[[str, str, Path], None],
    at: Callable[[str], str] = lambda reference: reference,
) -> Index:
    """Fetches all that a version set needs into a folder: charts by helm, images by docker, for Docker's platform.

    `at` says where a reference is pulled from; in the bundle each has its own name, wherever it came from.

    Raises:
        BadInput: helm or Docker is missing, the folder cannot be written, or something cannot be pulled.
    """
    for program in ("helm", "docker"):
        which(program)
    platform, saves = docker_platform_arguments()
    with _possible(folder):
        (folder / "charts").mkdir(parents=True, exist_ok=True)
        (folder / "images").mkdir(exist_ok=True)
        for chart in versions.charts.values():
            if not (folder / "charts" / chart.archive).is_file():
                with progress.stage(f"chart {chart.archive}"):
                    pull_chart(at(chart.reference), chart.version, folder / "charts")
        pulled = {}
        for image in missing_images(folder, versions.with_helpers().images.values()):
            with progress.stage(f"image {image}"):
                archive = folder / "images" / f"{re.sub(r'[/:@]', '_', image)}.tar"
                pulled[image] = _save(image, at(image), archive, platform, saves)
    return write_index(folder, versions, pulled)


def missing_images(folder: Path, images: Iterable[str]) -> list[str]:
    """Which of the images no archive of the folder holds."""
    held = {name for path in (folder / "images").glob("*.tar") for name in image_archive_reader.image_references(path)}
    return [image for image in images if image not in held]


def docker_platform_arguments() -> tuple[list[str], list[str]]:
    """The words that choose Docker's platform for `docker pull`, and for `docker save` where it takes them.

    With the containerd image store, the default of new installations of Docker 29, `docker save` without them writes
    an index of all platforms and the blobs of one (kubernetes-sigs/kind#3795).
    """
    result = run(
        ["docker", "version", "--format", "{{.Client.APIVersion}} {{.Server.Os}}/{{.Server.Arch}}"], check=False
    )
    answer = re.fullmatch(r"(\d+)\.(\d+) (\w+/\w+)", result.stdout.strip())
    if result.code != 0 or not answer:
        raise BadInput(
            f"Docker does not answer: {(result.stderr or result.stdout).strip()[-200:]}",
            remedy="start Docker (and be allowed to use it); charts are pulled by helm, images by Docker",
        )
    words = ["--platform", answer[3]]
    return words, words if (int(answer[1]), int(answer[2])) >= SAVES_A_PLATFORM else []


def _save(image: str, source: str, archive: Path, platform: list[str], saves: list[str]) -> str:
    """Pulls an image and saves it under its own name. Returns where it came from, with its digest there."""
    partial = archive.with_suffix(".partial")
    try:
        run(["docker", "pull", "--quiet", *platform, source], within=timeouts.IMAGE_LOAD)
        if source != image:
            run(["docker", "tag", source, image])
        run(["docker", "save", *saves, "--output", str(partial), image], within=timeouts.IMAGE_LOAD)
        image_archive_reader.read_complete(partial)
        partial.rename(archive)
    except CommandFailed as failed:
        raise BadInput(f"image {source} is not available: {failed.output.strip()[-200:]}") from failed
    finally:
        partial.unlink(missing_ok=True)
    output = run(["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", source], check=False).stdout
    repository = source.partition("@")[0].rpartition(":")[0]
    digests = json.loads(output or "[]") or []
    return next(
        (one for one in (str(parse_reference(one)) for one in digests) if one.startswith(f"{repository}@")), source
    )


def _index(folder: Path) -> Index:
    file = folder / INDEX
    try:
        again = f"`mesh-e2e bundle --index {folder}` writes it again"
        return validate_file(Index, parse_yaml(file.read_text()), file, remedy=again)
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            f"{folder} is not a bundle: it has no {INDEX}",
            remedy=f"`make bundle BUNDLE={folder}` makes one, `mesh-e2e bundle --index {folder}` indexes a folder",
        ) from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}", remedy=f"ls -ld {file}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: of bytes that are no text
        raise BadInput(f"{file}: {' '.join(str(error).split())[:300]}") from None


def _sources(folder: Path, images: Mapping[str, _Image]) -> dict[str, str]:
    """What the folder's earlier index, if it has a readable one, says of archives that are still the same."""
    try:
        before = _index(folder).images
    except BadInput:
        return {}
    return {name: b.pulled for name, b in before.items() if name in images and b.digest == images[name].digest}


@contextmanager
def _possible(folder: Path) -> Iterator[None]:
    """What the file system refuses in a bundle's folder is one sentence. New folders that stay empty go again."""
    new = [one for one in (folder / "charts", folder / "images", folder) if not os.path.lexists(one)]
    try:
        if folder.exists() and not folder.is_dir():
            raise BadInput(
                f"{folder} is not a folder; a bundle is a folder", remedy="BUNDLE=folder, a new or empty one"
            )
        yield
    except OSError as error:
        raise BadInput(f"bundle {folder}: {error.filename or folder}: {error.strerror or error}") from None
    finally:
        for one in new:
            with suppress(OSError):  # it holds something, or was never made
                one.rmdir()


def _entry(folder: Path, path: Path) -> _Entry:
    return _Entry(file=str(path.relative_to(folder)), digest=_digest(path))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
