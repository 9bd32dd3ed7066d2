"""Wasm modules are taken out of images and put into new ones, in the form that Envoy Gateway reads."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from harness.errors import SetupFailed
from harness.install.wasm_images import push_module, read_module
from harness.objects.manifests import MANIFESTS, read_manifest
from harness.registry.api import RegistryApi
from harness.registry.reference import parse_reference
from tests.fakes.registry import FakeRegistry, digest

IMAGE = parse_reference("r.example/waf:1")
WASM = b"\0asm\1\0\0\0" * 1000


def layer(name: str) -> bytes:
    """A layer as `docker save` writes it, uncompressed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(WASM)
        tar.addfile(entry, io.BytesIO(WASM))
    return packed.getvalue()


def put(fake: FakeRegistry, tag: str, body: dict[str, Any]) -> str:
    data = json.dumps(body).encode()
    fake.manifests["waf", tag or digest(data)] = (data, "application/vnd.oci.image.manifest.v1+json")
    fake.manifests["waf", digest(data)] = fake.manifests["waf", tag or digest(data)]
    return digest(data)


def holding(fake: FakeRegistry, data: bytes) -> dict[str, Any]:
    """An image's manifest with this layer behind another one."""
    fake.blobs["waf", digest(data)] = data
    return {"layers": [{"digest": "sha256:" + "0" * 64}, {"digest": digest(data)}]}


@pytest.mark.parametrize("form", ["uncompressed", "compressed", "of several platforms"])
def test_module_is_read_in_whatever_form_its_image_has(form: str) -> None:
    fake = FakeRegistry()
    below = holding(fake, gzip.compress(layer("plugin.wasm")) if form == "compressed" else layer("./plugin.wasm"))
    put(fake, "1", {"manifests": [{"digest": put(fake, "", below)}]} if form == "of several platforms" else below)

    assert read_module(RegistryApi("r.example", transport=fake.transport), IMAGE) == WASM


def test_pushed_image_has_a_compressed_layer_and_nothing_missing() -> None:
    """Envoy Gateway refuses other layers (internal/wasm/imagefetcher.go)."""
    fake = FakeRegistry()
    registry = RegistryApi("r.example", transport=fake.transport)

    push_module(registry, "waf", "1", WASM)

    data, kind = fake.manifests["waf", "1"]
    body = json.loads(data)
    assert kind == body["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert [one["mediaType"] for one in body["layers"]] == ["application/vnd.oci.image.layer.v1.tar+gzip"]
    parts = [body["config"], *body["layers"]]
    assert [len(fake.blobs["waf", part["digest"]]) for part in parts] == [part["size"] for part in parts]
    config = json.loads(fake.blobs["waf", body["config"]["digest"]])
    unpacked = gzip.decompress(fake.blobs["waf", body["layers"][0]["digest"]])
    assert config["rootfs"]["diff_ids"] == [digest(unpacked)]
    assert read_module(registry, IMAGE) == WASM


def test_image_without_a_module_is_named() -> None:
    fake = FakeRegistry()
    put(fake, "1", holding(fake, layer("module.wasm")))

    with pytest.raises(SetupFailed, match=r"image r\.example/waf:1: its last layer has no plugin\.wasm"):
        read_module(RegistryApi("r.example", transport=fake.transport), IMAGE)


def test_registry_is_ready_once_it_returns_the_module() -> None:
    """Envoy Gateway asks for a module once: a 404 of a registry that has just started stays."""
    (policy,) = read_manifest(MANIFESTS / "extensions/wasm.yaml")
    registry = next(one for one in read_manifest(MANIFESTS / "base/wasm_registry.yaml") if one["kind"] == "Deployment")
    probe = registry["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]

    assert policy["spec"]["wasm"][0]["code"]["http"]["url"].endswith(f":{probe['port']}{probe['path']}")
