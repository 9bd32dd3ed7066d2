"""Reads manifests, checks them before they are applied, and pins images to the version set."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import BadInput
from harness.objects.kind_namespace_name import KINDS
from harness.objects.unstructured import at, text

Document = dict[str, Any]
MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job")


def parse_documents(text: str) -> list[Any]:
    """All documents of a YAML text that hold anything; by libyaml, since a chart's definitions are megabytes.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document is not None]


def parse_manifest(text: str, *, source: str) -> list[Document]:
    """The documents of a manifest, in order.

    Raises:
        BadInput: not YAML, empty, or a document without apiVersion, kind, name or (where due) namespace.
    """
    try:
        found = parse_documents(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: PyYAML on a date such as 2026-99-99
        raise BadInput(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    if not found:
        raise BadInput(f"{source} holds no object")
    for number, document in enumerate(found, start=1):
        missing = _missing(document)
        if missing:
            raise BadInput(f"{source}, document {number}: no {missing}")
    return found


def read_manifest(file: Path) -> list[Document]:
    """The documents of a manifest file.

    Raises:
        BadInput: as `parse_manifest`, or the file does not exist.
    """
    try:
        text = file.read_text()
    except OSError as error:
        raise BadInput(f"cannot read manifest {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"cannot read manifest {file}: it is not text") from None
    return parse_manifest(text, source=str(file))


def manifest_of_suite(suite: Path) -> str:
    """The manifest of a suite's file: suites/<area>/test_<stem>.py has manifests/<area>/<stem>.yaml."""
    return f"{suite.parent.name}/{suite.stem.removeprefix('test_')}.yaml"


def pin_images(
    manifest: Iterable[Document], images: Iterable[str], *, proxy: str = "", secret: str = ""
) -> list[Document]:
    """Copies whose container images are those of `images` with the same repository name.

    `proxy` is the image that each EnvoyProxy gets; empty: the one that Envoy Gateway was built with. `secret` names
    the pull secret of every pod, also of those that Envoy Gateway makes; empty: none.

    A manifest is valid as it stands; the version set only moves its tags and registries.

    Raises:
        BadInput: a container's image has no counterpart: it would be pulled, unpinned, from who knows where.
    """
    by_name = {_repository(image): image for image in images}
    copies = copy.deepcopy(list(manifest))
    for document in copies:
        for container in _containers(document):
            image = text(container, "image")
            name = _repository(image)
            if name not in by_name:
                raise BadInput(
                    f"{document['kind']}/{document['metadata']['name']}: image {image or '(none)'} "
                    "is not of the version set",
                    remedy="add it to harness/version_sets.py",
                )
            container["image"] = by_name[name]
        _add_registry(document, proxy, secret)
    return copies


def _add_registry(document: Document, proxy: str, secret: str) -> None:
    """An EnvoyProxy's image, and a pull secret, where the document makes pods."""
    if document["kind"] in WORKLOADS and secret:
        document["spec"]["template"]["spec"]["imagePullSecrets"] = [{"name": secret}]
    if document["kind"] == "EnvoyProxy" and (proxy or secret):
        spec = document["spec"].setdefault("provider", {"type": "Kubernetes"}).setdefault("kubernetes", {})
        deployment = spec.setdefault("envoyDeployment", {})
        if proxy:
            deployment.setdefault("container", {})["image"] = proxy
        if secret:
            deployment.setdefault("pod", {})["imagePullSecrets"] = [{"name": secret}]


def _containers(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if document["kind"] in WORKLOADS:
        for kind in ("initContainers", "containers"):
            found = at(document, "spec", "template", "spec", kind)
            yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()


def _repository(image: str) -> str:
    return image.rsplit("/", 1)[-1].partition("@")[0].partition(":")[0]


def _missing(document: Any) -> str:
    if not isinstance(document, dict):
        return "mapping at its top"
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str):
            return key
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        return "metadata.name"
    namespaced = KINDS.get(document["kind"], ("", False))[1]
    return "metadata.namespace" if namespaced and not metadata.get("namespace") else ""
