"""Reads image archives (`docker save`, OCI image layout): images, and missing blobs.

Formats: the OCI image layout specification (index.json, blobs/<algorithm>/<hex>) and Docker's image specification v1.2
(manifest.json: Config, RepoTags, Layers). Docker 25 and later writes both into one archive.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import BadInput
from harness.registry.reference import parse_reference

NAME = "io.containerd.image.name"
NOT_SO_SHAPED = (KeyError, ValueError, TypeError, AttributeError, IndexError)  # what reading another's JSON comes to
UNREADABLE = (tarfile.TarError, zlib.error, OSError, EOFError, RecursionError, *NOT_SO_SHAPED)
_MANIFESTS_MAX = 4 * 2**20  # a manifest is JSON of a few kilobytes; registries refuse more than 4 MiB


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    """What an archive holds: each image's name with its digest (empty in a Docker archive without an OCI index), and
    what its index or manifests name that is not in it, each as "sha256:… (layer of linux/arm64)"."""

    images: Mapping[str, str]
    lacking: list[str] = field(default_factory=list)


def read_archive(archive: Path) -> ArchiveContents:
    """Reads an archive's index and manifests; of the blobs only which there are.

    Raises:
        BadInput: it is no image archive.
    """
    try:
        with tarfile.open(archive) as tar:
            members = {member.name.removeprefix("./"): member for member in tar.getmembers() if not member.isdir()}
            return _read(tar, members)
    except UNREADABLE as error:
        raise BadInput(f"{archive} is not an image archive: {error}") from None


def image_references(archive: Path) -> list[str]:
    """The names of the images in an archive, with their registry (docker.io/ for those without).

    Raises:
        BadInput: it is no image archive.
    """
    return list(read_archive(archive).images)


def read_complete(archive: Path) -> ArchiveContents:
    """The contents of an archive that lacks nothing.

    Raises:
        BadInput: it is no image archive, or lacks blobs that it names: `kind load` fails on those, and late.
    """
    found = read_archive(archive)
    if found.lacking:
        shown = ", ".join(found.lacking[:3]) + (f" and {len(found.lacking) - 3} more" if len(found.lacking) > 3 else "")
        raise BadInput(
            f"{archive} lacks {len(found.lacking)} blobs that its index names: {shown}",
            remedy="save it again with `docker save --platform linux/<architecture>` (Docker 28 and later)",
        )
    return found


def _read(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]) -> ArchiveContents:
    images: dict[str, str] = {}
    lacking: list[str] = []
    if "index.json" in members:
        for one in _json(tar, members["index.json"])["manifests"]:
            name = (one.get("annotations") or {}).get(NAME)
            if name is not None:
                images[str(parse_reference(name))] = str(one["digest"])
            lacking += _lacking(tar, members, one)
    if "manifest.json" in members:
        for image in _json(tar, members["manifest.json"]):
            named = [image["Config"], *(image.get("Layers") or [])] if "index.json" not in members else []
            lacking += [f"{one} (of Docker's manifest.json)" for one in named if one not in members]
            for tag in image.get("RepoTags") or []:
                images.setdefault(str(parse_reference(tag)), "")
    elif "index.json" not in members:
        raise ValueError("it has neither index.json nor manifest.json")
    return ArchiveContents(images, list(dict.fromkeys(lacking)))


def _lacking(tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], one: Any) -> Iterator[str]:
    """What a descriptor names, itself and below it, that has no member in the archive."""
    member = members.get(blob_path(one["digest"]))
    platform = one.get("platform") or {}
    of = f" of {platform['os']}/{platform['architecture']}" if platform else ""
    if member is None:
        yield f"{one['digest']} (manifest{of})"
        return
    held = _json(tar, member)
    for below in held.get("manifests") or []:
        yield from _lacking(tar, members, below)
    parts = [("config", held["config"])] if held.get("config") else []
    parts += [("layer", layer) for layer in held.get("layers") or []]
    for what, part in parts:
        if blob_path(part["digest"]) not in members and not part.get("urls"):  # a layer with URLs is fetched from there
            yield f"{part['digest']} ({what}{of})"


def blob_path(digest: str) -> str:
    """Where a blob lies in an OCI archive."""
    algorithm, _, hexadecimal = digest.partition(":")
    return f"blobs/{algorithm}/{hexadecimal}"


def _json(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    if member.size > _MANIFESTS_MAX:
        raise ValueError(f"{member.name} has {member.size} bytes: no manifest")
    return json.load(tar.extractfile(member) or _no_file(member.name))


def _no_file(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a file")
