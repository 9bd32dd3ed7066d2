"""Manifests as they are applied: images of the version set, and the pull secret that their registry needs."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from harness.errors import BadInput
from harness.objects.manifests import WORKLOADS, Document, pinned
from harness.registry.credentials import docker_config, login
from harness.registry.private import Private
from harness.versions import VersionSet

MAKES_PODS = (*WORKLOADS, "EnvoyProxy", "Gateway")


def as_pulled(documents: Iterable[Document], versions: VersionSet) -> list[Document]:
    """Copies with images pinned to the version set; with a pull secret (REGISTRY_SECRET=) a Secret of it for each
    namespace in which they make pods, right behind the namespaces.

    Raises:
        BadInput: an image is not of the version set, or nobody is logged in to the registry.
    """
    registry = versions.registry
    proxy = versions.images["envoy"] if registry else ""
    found = pinned(documents, versions.images.values(), proxy=proxy, secret=registry.secret if registry else "")
    if not registry or not registry.secret:
        return found
    used = dict.fromkeys(one["metadata"].get("namespace", "") for one in found if one["kind"] in MAKES_PODS)
    namespaces = [one for one in found if one["kind"] == "Namespace"]
    others = [one for one in found if one["kind"] != "Namespace"]
    return [*namespaces, *(secret(registry, namespace) for namespace in used), *others]


def secret(registry: Private, namespace: str) -> Document:
    """The pull secret, made of `docker login`.

    Raises:
        BadInput: nobody is logged in to that registry.
    """
    found = login(registry.host)
    if found is None:
        raise BadInput(
            f"REGISTRY_SECRET={registry.secret}: Docker has no login of {registry.host} to make it of",
            remedy=f"`docker login {registry.host}` first; or leave REGISTRY_SECRET out",
        )
    data = base64.b64encode(docker_config({registry.host: found}).encode()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": registry.secret, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": data},
    }
