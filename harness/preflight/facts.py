"""What preflight read of a cluster. Pure, and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.audit.state import AuditState, labels_of
from harness.cluster.protocol import Capability
from harness.objects.unstructured import Json, mapping, text
from harness.preflight.rights import Right


@dataclass(frozen=True)
class Facts:
    """state: objects, Envoy Gateway's configuration, the server's version. mesh: Istio's mesh configuration by
    "namespace/name" of its ConfigMap; mesh_unread: why one could not be read. clock: seconds by which the API server's
    clock is ahead of this machine's, to about a second; None when it gave none. denied: rights that these credentials
    lack; rights_unread: why that is not known. lacking: capabilities that the cluster lacks whatever is found in it."""

    state: AuditState
    namespace: str
    installs: bool = False
    disruptive: bool = False
    mesh: Mapping[str, Json] = field(default_factory=dict)
    mesh_unread: Mapping[str, str] = field(default_factory=dict)
    clock: float | None = None
    denied: tuple[Right, ...] = ()
    rights_unread: str = ""
    lacking: Mapping[Capability, str] = field(default_factory=dict)

    def of(self, kind: str, key: str, value: str) -> list[Json]:
        """The workloads of a kind whose pods have this label.

        Raises:
            Unread: the kind could not be read.
        """
        return [
            one
            for one in self.state.all_objects(kind)
            if text(mapping(one, "spec", "template", "metadata", "labels"), key) == value
            or text(labels_of(one), key) == value
        ]

    @property
    def istiods(self) -> list[Json]:
        """istiod's Deployments, of every revision."""
        return self.of("Deployment", "app", "istiod")

    @property
    def ztunnels(self) -> list[Json]:
        """ztunnel's DaemonSets, in whatever namespace."""
        return self.of("DaemonSet", "app", "ztunnel")

    @property
    def cnis(self) -> list[Json]:
        """The DaemonSets of Istio's CNI node agent."""
        return self.of("DaemonSet", "k8s-app", "istio-cni-node")

    @property
    def controllers(self) -> list[Json]:
        """Envoy Gateway's Deployments."""
        return self.of("Deployment", "control-plane", "envoy-gateway")

    @property
    def limiters(self) -> list[Json]:
        """The Deployments of Envoy Gateway's rate limit service."""
        return self.of("Deployment", "app.kubernetes.io/name", "envoy-ratelimit")
