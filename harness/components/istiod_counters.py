"""Reads istiod's counters: xDS updates that proxies rejected, and proxies that are connected."""

from __future__ import annotations

from harness import observations
from harness.clients.admin import Admin
from harness.errors import Inconclusive
from harness.kube import Kube
from harness.objects.stack_places import namespace_in
from harness.proxy import prometheus


class Istiod:
    """istiod's own counters."""

    LABELS = "app=istiod"

    def __init__(self, kube: Kube, admin: Admin) -> None:
        self._kube, self._admin = kube, admin
        self.namespace = namespace_in(kube.places.istiod)

    def read_rejections(self) -> dict[str, float]:
        """Configuration that any proxy refused, by type; empty when none was.

        Raises:
            Inconclusive: istiod counts no pushes at all: an absent counter would then prove nothing.
        """
        pods = [pod["metadata"]["name"] for pod in self._kube.list_pods(self.namespace, self.LABELS)]
        texts = [self._admin.get(self.namespace, pod, 15014, "/metrics") for pod in pods]
        found = [sample for text in texts for sample in prometheus.parse_samples(text)]
        pushes = sum(s.value for s in found if s.name == "pilot_push_triggers")
        if not pushes:
            raise Inconclusive("istiod counts no pushes (pilot_push_triggers): no rejection would be counted either")
        observations.record_sighting("istiod counters", f"{pushes:g} pushes triggered")
        rejects: dict[str, float] = {}
        for s in found:
            if "reject" in s.name and s.name.startswith("pilot_") and s.value:
                name = f"{s.name}{dict(s.labels)}"
                rejects[name] = rejects.get(name, 0) + s.value
        return rejects

    def read_connected(self, revision: str) -> int:
        """How many proxies are connected to the istiod of a revision (`default`: of none), over all its replicas.

        Raises:
            Inconclusive: no pod of that revision has istiod's metrics.
        """
        pods = self._kube.list_pods(self.namespace, f"{self.LABELS},istio.io/rev={revision}")
        texts = [self._admin.get(self.namespace, pod["metadata"]["name"], 15014, "/metrics") for pod in pods]
        found = [sample for text in texts for sample in prometheus.parse_samples(text)]
        if not any(sample.name == "pilot_info" for sample in found):
            raise Inconclusive(f"no istiod of revision {revision} has metrics ({len(pods)} pods)")
        # istiod 1.30.3 exposes pilot_xds only once a proxy has connected.
        return int(sum(sample.value for sample in found if sample.name == "pilot_xds"))
