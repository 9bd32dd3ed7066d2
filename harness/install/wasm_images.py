"""Puts Wasm modules as OCI images into a registry in the cluster, from which Envoy Gateway fetches them.

Formats: solo-io/wasm, spec/spec-compat.md (the module is the file plugin.wasm of the last layer, which is a tar
compressed by gzip). `docker save` leaves layers uncompressed, which Envoy Gateway refuses, so the module is put into an
image of its own.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import SetupFailed
from harness.install.helper_images import helper_archive
from harness.mirror import Archive
from harness.offline_bundle import Bundle
from harness.registry.api import ImageManifest, ImageSource, RegistryApi
from harness.registry.credentials import login
from harness.registry.reference import Reference, digest_of, parse_reference
from harness.version_sets import VersionSet

MODULE = "plugin.wasm"
OCI = "application/vnd.oci.image"


def copy_module(bundle: Bundle | None, versions: VersionSet, role: str, to: RegistryApi, repository: str) -> None:
    """Copies the module of a helper's image into `repository`, tag 1, of a registry: from the bundle, or without one
    from the image's registry.

    Raises:
        SetupFailed: the bundle does not have the image, the image has no module, or a registry does not answer.
    """
    image = parse_reference(versions.with_helpers().images[role])
    with _source(bundle, versions, image, role) as source:
        push_module(to, repository, "1", read_module(source, image))


def read_module(source: ImageSource, image: Reference) -> bytes:
    """The module in an image; of an image of several platforms in the first one's, as modules are of none.

    Raises:
        SetupFailed: it has none.
    """
    manifest = source.manifest(image.repository, source.digest(image.repository, image.version))
    while children := manifest.body.get("manifests"):
        manifest = source.manifest(image.repository, children[0]["digest"])
    layer = b"".join(source.blob(image.repository, manifest.body["layers"][-1]["digest"]))
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for member in tar:
            if member.name.rpartition("/")[2] == MODULE and (file := tar.extractfile(member)):
                return file.read()
    raise SetupFailed(f"image {image}: its last layer has no {MODULE}")


def push_module(to: RegistryApi, repository: str, tag: str, module: bytes) -> None:
    """Writes an image with this module alone.

    Raises:
        SetupFailed: the registry refuses it.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(MODULE)
        entry.size = len(module)
        tar.addfile(entry, io.BytesIO(module))
    layer = gzip.compress(packed.getvalue(), mtime=0)
    diff = {"type": "layers", "diff_ids": [digest_of(packed.getvalue())]}
    config = json.dumps({"architecture": "wasm", "os": "wasi", "config": {}, "rootfs": diff}).encode()
    parts = [(config, f"{OCI}.config.v1+json"), (layer, f"{OCI}.layer.v1.tar+gzip")]
    for data, _ in parts:
        to.put_blob(repository, digest_of(data), len(data), iter([data]))
    described = [{"mediaType": kind, "size": len(data), "digest": digest_of(data)} for data, kind in parts]
    kind = f"{OCI}.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": kind, "config": described[0], "layers": described[1:]}
    to.put_manifest(repository, tag, ImageManifest(json.dumps(body).encode(), kind))


@contextmanager
def _source(bundle: Bundle | None, versions: VersionSet, image: Reference, role: str) -> Iterator[ImageSource]:
    if bundle is not None:
        with Archive(helper_archive(bundle, versions, role)) as archive:
            yield archive
        return
    private = versions.registry
    plain, ca = (private.plain_http, private.ca) if private else (False, None)
    yield RegistryApi(image.registry, plain_http=plain, ca=ca, login=login(image.registry))
