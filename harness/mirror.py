"""Copies all charts and images of a version set to a registry."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import image_archive_reader, offline_bundle, progress, timeouts
from harness.cluster import registry_caches
from harness.command import run
from harness.errors import SetupFailed
from harness.helm import Helm
from harness.registry.api import CHUNK, ImageManifest, ImageSource, RegistryApi, copy_manifest
from harness.registry.credentials import login
from harness.registry.private import PrivateRegistry
from harness.registry.reachability import check_registry
from harness.registry.reference import Reference, digest_of, parse_reference
from harness.threads import thread_pool
from harness.version_sets import Chart, VersionSet

ABREAST = 3  # references at a time
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One reference as it is now in the registry. `digest` is empty for a chart that helm pushed."""

    name: str
    digest: str
    copied: bool

    def __str__(self) -> str:
        return f"{self.name}{f'@{self.digest}' if self.digest else ''}: {'copied' if self.copied else 'there already'}"


def mirror_from_registries(
    versions: VersionSet, target: PrivateRegistry, source: PrivateRegistry | None, node: str = ""
) -> list[Mirrored]:
    """Copies from where each reference is public, or from another registry. `node` is a node image of one's own.

    Raises:
        SetupFailed: something could not be read or written.
        BadInput: a registry wants a login.
    """
    check_registry(target)
    public = versions.taken_from(None)
    wanted = [(f"{chart.reference}:{chart.version.replace('+', '_')}", "") for chart in public.charts.values()]
    wanted += [(image, "") for image in dict.fromkeys([*public.with_helpers().images.values(), registry_caches.IMAGE])]
    wanted += [(node or public.node, node)]
    to = _api(target)
    sources: dict[str, RegistryApi] = {}

    def one(reference: str, own: str) -> Mirrored:
        found = parse_reference(source.rewrite(reference) if source and not own else reference)
        if found.registry not in sources:
            here = source if source and found.registry == source.host else None
            sources[found.registry] = _api(here) if here else RegistryApi(found.registry, login=login(found.registry))
        with progress.stage(str(found)):
            return _into(to, target, parse_reference(reference), sources[found.registry], found)

    return _side_by_side([lambda r=r, own=own: one(r, own) for r, own in wanted])  # type: ignore[misc]  # as bound


def mirror_from_bundle(
    versions: VersionSet, target: PrivateRegistry, folder: Path, helm: Helm, node: str = ""
) -> list[Mirrored]:
    """Copies what a bundle holds, and the node image from Docker, if it is there.

    Raises:
        BadInput: it is no bundle of that version set, or the registry requires a login.
        SetupFailed: something could not be written.
    """
    public = versions.taken_from(None)
    held, to = offline_bundle.open_bundle(folder, public), _api(target)
    check_registry(target)
    done = [_push(to, target, held.charts / chart.archive, chart, helm) for chart in public.charts.values()]

    def one(image: str) -> Mirrored:
        with progress.stage(image), Archive(held.archive(image)) as source:
            return _into(to, target, parse_reference(image), source, parse_reference(image))

    images = [image for image in public.with_helpers().images.values() if image in held.index.images]
    done += _side_by_side([lambda i=i: one(i) for i in images])  # type: ignore[misc]  # as bound
    return [*done, *_node(to, target, node or public.node)]


class Archive:
    """An image archive as a source. What Docker before 25 wrote has no manifests: they are made for it."""

    def __init__(self, path: Path) -> None:
        self._path, self._names, self._members = path, dict[str, str](), dict[str, tarfile.TarInfo]()
        self._made: dict[str, bytes] = {}
        self._paths: dict[str, str] = {}
        self.first = ""  # the first image's digest, also of one without a name

    def __enter__(self) -> Archive:
        self._tar = tarfile.open(self._path)  # closed by __exit__
        self._members = {one.name.removeprefix("./"): one for one in self._tar.getmembers()}
        self._names = dict(image_archive_reader.read_complete(self._path).images)
        if "index.json" in self._members:
            self.first = str(json.loads(self._read("index.json"))["manifests"][0]["digest"])
            return self
        for image in json.loads(self._read("manifest.json")):
            digest = self._manifest_of(image)
            self.first = self.first or digest
            self._names |= {str(parse_reference(tag)): digest for tag in image.get("RepoTags") or []}
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def digest(self, repository: str, version: str) -> str:
        if version.startswith("sha256:"):
            return version
        found = {parse_reference(name): digest for name, digest in self._names.items()}
        return next((d for n, d in found.items() if (n.repository, n.tag) == (repository, version)), "")

    def manifest(self, repository: str, version: str) -> ImageManifest:  # noqa: ARG002  # of one archive all is one's own
        data = self._made.get(version) or self._read(image_archive_reader.blob_path(version))
        document = json.loads(data)
        kind = document.get("mediaType") or (
            MANIFEST if "config" in document else "application/vnd.oci.image.index.v1+json"
        )
        return ImageManifest(data, kind)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:  # noqa: ARG002  # as above
        file = self._tar.extractfile(self._members[self._paths.get(digest, image_archive_reader.blob_path(digest))])
        if file is None:
            raise SetupFailed(f"{self._path}: {digest} is not a file")
        while piece := file.read(CHUNK):
            yield piece

    def _manifest_of(self, image: Any) -> str:
        config = self._describe(image["Config"], "application/vnd.oci.image.config.v1+json")
        layers = [self._describe(layer, "application/vnd.oci.image.layer.v1.tar") for layer in image["Layers"]]
        data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
        digest = digest_of(data)
        self._made[digest] = data
        return digest

    def _describe(self, path: str, kind: str) -> dict[str, object]:
        file = self._tar.extractfile(self._members[path])
        if file is None:
            raise SetupFailed(f"{self._path}: {path} is not a file")
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"  # type: ignore[arg-type]  # it reads bytes
        self._paths[digest] = path
        return {"mediaType": kind, "size": self._members[path].size, "digest": digest}

    def _read(self, path: str) -> bytes:
        file = self._tar.extractfile(self._members[path])
        return file.read() if file else b""


def _into(
    to: RegistryApi, target: PrivateRegistry, public: Reference, source: ImageSource, found: Reference
) -> Mirrored:
    """One reference from a source to its place in the registry."""
    there = parse_reference(target.rewrite(str(public)))
    digest, copied = copy_manifest(
        source, found.repository, found.version, to, there.repository, there.tag or there.version
    )
    return Mirrored(there.name + (f":{there.tag}" if there.tag else ""), digest, copied)


def _push(to: RegistryApi, target: PrivateRegistry, archive: Path, chart: Chart, helm: Helm) -> Mirrored:
    there = parse_reference(target.rewrite(chart.reference))
    tag = chart.version.replace("+", "_")
    digest = to.digest(there.repository, tag)
    layers = to.manifest(there.repository, digest).body.get("layers", []) if digest else []
    content = digest_of(archive.read_bytes())
    same = any(layer["digest"] == content for layer in layers)
    if not same:
        with progress.stage(f"chart {archive.name}"):
            helm.push(archive, f"oci://{there.name.rpartition('/')[0]}")
    return Mirrored(f"{there.name}:{tag}", to.digest(there.repository, tag), not same)


def _node(to: RegistryApi, target: PrivateRegistry, image: str) -> list[Mirrored]:
    """The node image from Docker: a bundle has none."""
    if run(["docker", "image", "inspect", "--format", "{{.Id}}", image], check=False).code != 0:
        progress.note(f"node image {image} is in no bundle, and not in Docker: not mirrored (docker load, NODE_IMAGE=)")
        return []
    public = parse_reference(image)
    with progress.stage(image), tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "node.tar"
        _, saves = offline_bundle.docker_platform_arguments()
        run(["docker", "save", *saves, "--output", str(archive), image], within=timeouts.IMAGE_LOAD)
        with Archive(archive) as source:
            there = parse_reference(target.rewrite(str(public)))
            digest, copied = copy_manifest(source, "", source.first, to, there.repository, there.tag or "latest")
    if public.digest and digest != public.digest:
        progress.note(
            f"node image {there.name}:{there.tag} is {digest}, not {public.digest} as published: Docker saved it; "
            f"name it NODE_IMAGE={there.name}:{there.tag}"
        )
    return [Mirrored(f"{there.name}:{there.tag}", digest, copied)]


def _api(private: PrivateRegistry) -> RegistryApi:
    return RegistryApi(private.host, plain_http=private.plain_http, ca=private.ca, login=login(private.host))


def _side_by_side(work: list[Callable[[], Mirrored]]) -> list[Mirrored]:
    with thread_pool(ABREAST) as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]
