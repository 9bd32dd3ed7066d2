"""The data type of what preflight read from a cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from harness.audit.state import AuditState, Unread, labels_of, namespace_of, object_name
from harness.cluster.protocol import Capability
from harness.evidence.clock_offset import ClockOffset
from harness.objects.stack_places import DEFAULT_PLACES, StackPlaces, namespace_in
from harness.objects.unstructured import Json, mapping, objects, text
from harness.preflight.required_rights import Right

NODE_LEASES = "kube-node-lease"  # the namespace
SERVER = 0.6  # seconds: a Date header is cut to whole ones
WRITTEN = 1.0  # seconds from a kubelet's renewal to its being written


def seconds_of(time: str) -> float | None:
    """A time of an object as epoch seconds; None for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


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
    def node_clocks(self) -> dict[str, ClockOffset]:
        """How far each node's clock is ahead of this machine's. kubelet renews the node's Lease by its own clock, and
        the API server notes by its own when that was written: to a second, and within WRITTEN seconds of the renewal.
        Empty where the API server's clock or the Leases are not known."""
        if self.clock is None:
            return {}
        server = ClockOffset(self.clock - SERVER, self.clock + SERVER)
        found = {}
        for lease in self.state.objects.get("Lease", ()):
            renewed = seconds_of(text(lease, "spec", "renewTime"))
            writers = [one for one in objects(lease, "metadata", "managedFields") if text(one, "manager") == "kubelet"]
            written = max((t for one in writers if (t := seconds_of(text(one, "time"))) is not None), default=None)
            if text(lease, "metadata", "namespace") == NODE_LEASES and renewed is not None and written is not None:
                of_server = ClockOffset(renewed - written - 1, renewed - written + WRITTEN)
                found[text(lease, "metadata", "name")] = of_server.plus(server)
        return found

    @property
    def nodes_ahead(self) -> float:
        """Seconds by which every node's clock is at least ahead of this machine's, or below 0 by which one may be
        behind; a difference within the measurement counts as none."""
        return min((one.low if one.is_measurable else 0.0 for one in self.node_clocks.values()), default=0.0)

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
    def places(self) -> StackPlaces:
        """Where the stack runs: under the names of its own charts where there is such a workload, else under those of
        the first that was found; all under their charts' names when they could not be read. The root namespace is
        that of the mesh configuration, else istiod's."""
        try:
            found = {
                "istiod": self.istiods,
                "cni": self.cnis,
                "ztunnel": self.ztunnels,
                "envoy_gateway": self.controllers,
                "rate_limit_service": self.limiters,
            }
        except Unread:
            return DEFAULT_PLACES
        names = {part: [f"{namespace_of(one)}/{object_name(one)}" for one in those] for part, those in found.items()}
        usual = asdict(DEFAULT_PLACES)
        moved = {part: those[0] for part, those in names.items() if those and usual[part] not in those}
        if root := next((text(one, "rootNamespace") for one in self.mesh.values()), ""):
            moved["root_namespace"] = root
        elif "istiod" in moved:
            moved["root_namespace"] = namespace_in(moved["istiod"])
        return replace(DEFAULT_PLACES, **moved)

    @property
    def limiters(self) -> list[Json]:
        """The Deployments of Envoy Gateway's rate limit service."""
        return self.of("Deployment", "app.kubernetes.io/name", "envoy-ratelimit")
