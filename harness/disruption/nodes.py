"""Disrupts nodes: drains a node, stops the API server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from harness import observations, timeouts
from harness.cluster.kind import signal_api_server
from harness.cluster.protocol import Cluster
from harness.disruption.others_objects_guard import check_allowed, touches
from harness.kube import ApiUnavailable, Kube
from harness.logs import envoy_access
from harness.objects.manifests import Document
from harness.objects.unstructured import mapping, objects, text
from harness.objects.workloads import OWNING_GATEWAY, node_name
from harness.offline_bundle import Bundle
from harness.undo.temporary_changes import Manifests
from harness.version_sets import VersionSet
from harness.wait import until

MIRROR = "kubernetes.io/config.mirror"  # a static pod's image in the API: no eviction ends it


@contextmanager
@touches("the API server")
def while_api_server_stopped(cluster: Cluster) -> Iterator[None]:
    """The API server of a kind cluster stopped for the block (SIGSTOP): connected to, and silent.

    Longer than 10 s, and controllers that lead by a lease end and start again: Envoy Gateway too.
    """
    check_allowed(cluster, "the API server")
    signal_api_server(cluster.name, "STOP")
    try:
        yield
    finally:
        signal_api_server(cluster.name, "CONT")


@contextmanager
@touches("a node and every pod that can leave it")
def while_drained(manifests: Manifests, node: str) -> Iterator[None]:
    """A node cordoned and emptied as `kubectl drain` does, by evictions, which respect PodDisruptionBudgets; uncordoned
    after the block, or when the next run begins. Pods of DaemonSets and static ones stay.

    Raises:
        NotReady: a pod did not leave, or its budget had nothing to spare.
    """
    with manifests.while_patched(f"Node/{node}", {"spec": {"unschedulable": True}}):
        until(
            lambda: _evict(manifests.kube, node),
            lambda left: not left,
            what=f"node {node} is drained",
            within=timeouts.DISTURBED,
            every=0.5,
            transient=(ApiUnavailable,),  # 429: the budget has nothing to spare yet
            show=lambda left: ", ".join(left),
        )
        observations.record_sighting(
            "Kubernetes API", f"node {node} is cordoned, and every pod that can leave it has left"
        )
        yield


def _evict(kube: Kube, node: str) -> list[str]:
    """The pods that are still to leave, each asked to."""
    left = [pod for pod in read_pods_on(kube, node) if _can_leave(pod)]
    for pod in left:
        if not pod["metadata"].get("deletionTimestamp"):
            kube.evict(pod["metadata"]["namespace"], pod["metadata"]["name"])
    return [str(pod["metadata"]["name"]) for pod in left]


def read_pods_on(kube: Kube, node: str, namespace: str = "") -> list[Document]:
    """The pods of a node, of one namespace or of all, those on their way out among them."""
    return [pod for pod in kube.list_objects("Pod", namespace) if node_name(pod) == node]


def read_deployments_on(kube: Kube, node: str) -> set[str]:
    """The Deployments of the run's namespace that have a pod there: "Deployment/default/ratings-v1"."""
    pods = read_pods_on(kube, node, kube.namespace)
    owners = [owner for pod in pods for owner in objects(pod, "metadata", "ownerReferences")]
    sets = (text(owner, "name") for owner in owners if text(owner, "kind") == "ReplicaSet")
    return {f"Deployment/{kube.namespace}/{name.rpartition('-')[0]}" for name in sets}


def load_images_everywhere(cluster: Cluster, bundle: Bundle | None, versions: VersionSet, *roles: str) -> None:
    """Puts images on every node, the control plane's as well: without a bundle its nodes pull what they need."""
    if bundle:
        cluster.load_images([bundle.archive(versions.images[role]) for role in roles], everywhere=True)


def read_node_without(kube: Kube, labels: str) -> str:
    """A node on which no pod with these labels runs; by name the first."""
    taken = {node_name(pod) for pod in kube.list_pods(kube.namespace, labels)}
    return min(str(n["metadata"]["name"]) for n in kube.list_objects("Node") if n["metadata"]["name"] not in taken)


def read_request_counts(kube: Kube, node: str, load: str, since: datetime) -> dict[str, int]:
    """How many requests of a load (its id) each Gateway's proxy on that node has a line of, by Gateway."""
    found: dict[str, int] = {}
    for pod in read_pods_on(kube, node, kube.namespace):
        gateway = text(pod, "metadata", "labels", OWNING_GATEWAY)
        if gateway:
            log = kube.read_log(kube.namespace, pod["metadata"]["name"], "envoy", since=since)
            lines = envoy_access.parse_access_log(log).lines
            found[gateway] = sum(str(line.user_agent).startswith(f"e2e/{load}") for line in lines)
    observations.record_sighting("access logs", f"requests of {load} carried on node {node}: {found}")
    return found


def _can_leave(pod: Document) -> bool:
    owners = {text(owner, "kind") for owner in objects(pod, "metadata", "ownerReferences")}
    return "DaemonSet" not in owners and MIRROR not in mapping(pod, "metadata", "annotations")
