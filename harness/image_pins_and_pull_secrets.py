"""Pins images to the version set and adds pull secrets to manifests before they are applied."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from harness.errors import BadInput
from harness.objects.manifests import WORKLOADS, Document, pin_images
from harness.registry.credentials import docker_config, login
from harness.registry.private import PrivateRegistry
from harness.version_sets import VersionSet

CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
MAKES_PODS = (*WORKLOADS, "EnvoyProxy", "Gateway")


def with_pull_secrets(documents: Iterable[Document], versions: VersionSet) -> list[Document]:
    """Copies with images pinned to the version set. From a private registry, or with a build of Envoy, each class of
    Envoy Gateway's has an EnvoyProxy, which names the proxy's image; with a pull secret (REGISTRY_SECRET=) there is a
    Secret for each namespace in which they make pods, right behind the namespaces.

    Raises:
        BadInput: an image is not of the version set, or there is no login for the registry.
    """
    registry = versions.registry
    proxy = versions.images["envoy"] if registry or versions.builds.envoy_image else ""
    documents = _with_parameters(documents) if proxy else documents
    images = versions.with_helpers().images.values()
    found = pin_images(documents, images, proxy=proxy, secret=registry.secret if registry else "")
    if not registry or not registry.secret:
        return found
    used = dict.fromkeys(one["metadata"].get("namespace", "") for one in found if one["kind"] in MAKES_PODS)
    namespaces = [one for one in found if one["kind"] == "Namespace"]
    others = [one for one in found if one["kind"] != "Namespace"]
    return [*namespaces, *(make_pull_secret(registry, namespace) for namespace in used), *others]


def _with_parameters(documents: Iterable[Document]) -> list[Document]:
    """A class without parameters has Envoy Gateway's own proxy image, from the public registry: it gets an EnvoyProxy
    of its name that says nothing yet."""
    found: list[Document] = []
    for one in documents:
        if one["kind"] == "GatewayClass" and one["spec"]["controllerName"] == CONTROLLER:
            name, group = one["metadata"]["name"], "gateway.envoyproxy.io"
            reference = {"group": group, "kind": "EnvoyProxy", "name": name, "namespace": "default"}
            if "parametersRef" not in one["spec"]:
                metadata = {"name": name, "namespace": "default"}
                found.append(
                    {"apiVersion": f"{group}/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata, "spec": {}}
                )
                one = {**one, "spec": {**one["spec"], "parametersRef": reference}}
        found.append(one)
    return found


def make_pull_secret(registry: PrivateRegistry, namespace: str) -> Document:
    """The pull secret, made of `docker login`.

    Raises:
        BadInput: there is no login for that registry.
    """
    found = login(registry.host)
    if found is None:
        raise BadInput(
            f"REGISTRY_SECRET={registry.secret}: Docker has no login for {registry.host} to create it from",
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
