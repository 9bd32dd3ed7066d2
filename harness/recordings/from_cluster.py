"""Reads a recording from a running cluster while its tests run."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

from harness.clients.admin import Admin
from harness.errors import HarnessError
from harness.install import running_versions
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.stack_places import namespace_in
from harness.objects.unstructured import text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready
from harness.recordings.recording import Recording

STATUSES = (
    *("GatewayClass", "Gateway", "HTTPRoute", "TCPRoute", "Service"),
    *("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy"),
)
COMPONENTS = {  # its place, label, port of its metrics, by the name that selection.METRICS has
    "limiter": (attrgetter("rate_limit_service"), "app.kubernetes.io/name=envoy-ratelimit", 19001),
    "istiod": (attrgetter("istiod"), "app=istiod", 15014),
    "Envoy Gateway": (attrgetter("envoy_gateway"), "control-plane=envoy-gateway", 19001),
}


class ClusterRecording:
    """The recording of a cluster that runs."""

    def __init__(self, kube: Kube, admin: Admin, cluster: str) -> None:
        """`cluster` is its kind, which the provenance names."""
        self._kube, self._admin, self._cluster = kube, admin, cluster
        self._recording = Recording()

    def collect(self) -> None:
        """Reads what is there now: objects and proxies of one test file are gone when the next begins. What cannot be
        read is left out."""
        with suppress(HarnessError):
            home = namespace_in(self._kube.places.ztunnel)
            for pod in self._kube.list_pods(home, "app=ztunnel"):
                log = self._kube.read_log(home, text(pod, "metadata", "name"), "istio-proxy")
                self._recording.add_ztunnel_log(log)
        for namespace in sorted(Placement(self._kube.namespace).namespaces):
            with suppress(HarnessError):
                for pod in self._kube.list_objects("Pod", namespace):
                    if text(pod, "metadata", "labels", OWNING_GATEWAY):
                        self._collect_proxy(pod)
            for kind in STATUSES:
                with suppress(HarnessError):
                    for obj in self._kube.list_objects(kind, namespace if kind != "GatewayClass" else ""):
                        self._recording.add_object(obj)
        for name, (place, labels, port) in COMPONENTS.items():
            namespace = namespace_in(place(self._kube.places))
            with suppress(HarnessError):
                for pod in self._kube.list_pods(namespace, labels)[:1]:
                    page = self._admin.get(namespace, text(pod, "metadata", "name"), port, "/metrics")
                    self._recording.add_metrics(name, page)

    def _collect_proxy(self, pod: Document) -> None:
        namespace, name = text(pod, "metadata", "namespace"), text(pod, "metadata", "name")
        self._recording.add_access_log(self._kube.read_log(namespace, name, "envoy"))
        if is_pod_ready(pod):
            gateway = text(pod, "metadata", "labels", OWNING_GATEWAY)
            self._recording.add_stats(gateway, self._admin.get(namespace, name, 19000, "/stats"))
            self._recording.add_server_info(self._admin.get(namespace, name, 19000, "/server_info"))

    def write(self, into: Path) -> Path:
        """Writes the files into a folder that is named after the versions that run; returns it.

        Raises:
            SetupFailed: as Recording.write.
        """
        return self._recording.write(
            into,
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            cluster=self._cluster,
            versions=running_versions.read_versions(self._kube),
            images=running_versions.read_images(self._kube),
        )
