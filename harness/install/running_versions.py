"""Reads which versions run: from the API server, image tags, and CRD labels.

Never what was asked for: an existing cluster has what it has, and one that was kept has what it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from harness.errors import HarnessError, SetupFailed
from harness.kube import Kube
from harness.objects.crds_and_admission_policies import GATEWAY_API, gateway_api_version, mixed_versions
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.unstructured import objects, text
from harness.objects.workloads import pod_containers
from harness.version_sets import UNKNOWN, plain, version_in

# Components, and the workload whose first container's image gives the version of each.
WORKLOADS: Mapping[str, str] = {
    "istio": "Deployment/istio-system/istiod",
    "envoy-gateway": "Deployment/envoy-gateway-system/envoy-gateway",
    "ztunnel": "DaemonSet/istio-system/ztunnel",
    "ratelimit": "Deployment/envoy-gateway-system/envoy-ratelimit",
    "redis": "Deployment/redis-system/redis",
    "bookinfo": "Deployment/default/productpage-v1",
}
DEFINITION = "CustomResourceDefinition/gateways.gateway.networking.k8s.io"


def read_versions(kube: Kube) -> dict[str, str]:
    """Each component's version as it runs; UNKNOWN where it could not be read. Proxies come and go: not Envoy's."""
    placement = Placement(kube.namespace)
    found = {"kubernetes": answer_or_unknown(lambda: plain(kube.read_version()))}
    for component, workload in WORKLOADS.items():
        name = kube.places.text(placement.text(workload))
        found[component] = answer_or_unknown(lambda name=name: version_in(_image(kube.get(name))))  # type: ignore[misc]  # the default binds the loop's value
    return found | {
        "gateway-api": answer_or_unknown(lambda: plain(gateway_api_version(kube.get(DEFINITION))) or UNKNOWN)
    }


def read_images(kube: Kube) -> dict[str, str]:
    """Every image that runs in the namespaces of the stack, by reference: where a node had it from, with its digest
    there ("docker.io/istio/pilot@sha256:…"); without a registry's name for one that was loaded from an archive."""
    found: dict[str, str] = {}
    placement = Placement(kube.namespace)
    names = (kube.places.text(placement.text(workload)) for workload in WORKLOADS.values())
    for namespace in sorted({name.split("/")[1] for name in names}):
        with suppress(HarnessError):
            for pod in kube.list_objects("Pod", namespace):
                for container in objects(pod, "status", "containerStatuses"):
                    found[text(container, "image")] = text(container, "imageID")
    return dict(sorted(found.items()))


def check_versions(seen: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Sees that a cluster of ours runs what the version set says; what is unknown is no difference.

    Kubernetes is whatever the nodes' image holds, which may be one's own choice: a kept kind cluster of another version
    than the set's is refused before anything is installed.

    Raises:
        SetupFailed: a component runs in another version; all that differ are named.
    """
    other = [
        f"{name} {seen[name]} instead of {version}"
        for name, version in asked.items()
        if name != "kubernetes" and seen.get(name, UNKNOWN) not in (UNKNOWN, version)
    ]
    if other:
        raise SetupFailed(
            f"this cluster does not run the versions of the version set: {', '.join(other)}",
            remedy="it was kept from another set: `make clean` deletes it, or choose another name (CLUSTER_NAME=…)",
        )


def check_definitions(kube: Kube, when: str) -> None:
    """Checks that all definitions of the Gateway API are of one bundle and channel. `when` is "before" or "after".

    cloud-provider-kind from 0.9 on installs its own in each cluster that it finds (kubernetes-sigs/cloud-provider-kind
    #317); the annotations of one definition then do not describe the others.

    Raises:
        SetupFailed: they are mixed; each bundle is named with its definitions and the field manager that wrote them.
    """
    try:
        found = mixed_versions(kube.list_objects("CustomResourceDefinition"))
    except HarnessError:
        return  # not readable: read_versions reports the version as unknown
    if found:
        raise SetupFailed(
            f"{when} the run the definitions of {GATEWAY_API} are of more than one bundle or channel: {found}",
            remedy="stop the other program that installs them; cloud-provider-kind: `--gateway-channel disabled`",
        )


def _image(workload: Document) -> str:
    return next((text(container, "image") for container in pod_containers(workload)), "")


def answer_or_unknown(ask: Callable[[], str]) -> str:
    """What was answered, or UNKNOWN: a report lacks what could not be asked for, the run goes on."""
    try:
        return ask()
    except HarnessError:
        return UNKNOWN
