"""The emulated istio-cni: decides which pods are enrolled in the mesh."""

from __future__ import annotations

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers import pod_states
from harness.cluster.emulated.controllers.conditions import at

REDIRECTED = "ambient.istio.io/redirection"
_MODE = "istio.io/dataplane-mode"


class Enrolment:
    """Marks enrolled pods with the annotation that istio-cni writes."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def sync(self) -> None:
        agents = [
            pod
            for pod in self.store.all("pods", "istio-system")
            if (pod["metadata"].get("labels") or {}).get("k8s-app") == "istio-cni-node"
        ]
        nodes = {pod["spec"]["nodeName"] for pod in agents if pod_states.ready(pod)}
        for pod in self.store.all("pods"):
            if pod["spec"].get("nodeName") in nodes and at(pod, "status", "podIP"):
                self._mark(pod)

    def _mark(self, pod: Object) -> None:
        annotations = dict(pod["metadata"].get("annotations") or {})
        before = dict(annotations)
        if self._wanted(pod):
            annotations[REDIRECTED] = "enabled"
        else:
            annotations.pop(REDIRECTED, None)
        if annotations != before:
            meta = pod["metadata"] | {"annotations": annotations}
            self.store.update(self.store.named("Pod"), pod | {"metadata": meta})

    def _wanted(self, pod: Object) -> bool:
        own = (pod["metadata"].get("labels") or {}).get(_MODE)
        if own is not None:
            return bool(own == "ambient")
        namespace = self.store.find("namespaces", "", pod["metadata"]["namespace"])
        return bool((at(namespace, "metadata", "labels") or {}).get(_MODE) == "ambient")


def enrolled(pod: Object) -> bool:
    """Whether ztunnel has taken the pod in."""
    return (pod["metadata"].get("annotations") or {}).get(REDIRECTED) == "enabled"
