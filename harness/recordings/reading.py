"""Reads a recording from a running cluster, bit by bit while its tests run, and writes it with its provenance."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from harness.clients.admin import Admin
from harness.errors import HarnessError, SetupFailed
from harness.install import running_versions
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.refs import ref_of
from harness.objects.unstructured import text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready
from harness.recordings import selection
from harness.report.redact import redact
from harness.version_ranges import numbers
from harness.version_sets import UNKNOWN

STATUSES = (
    *("GatewayClass", "Gateway", "HTTPRoute", "TCPRoute", "Service"),
    *("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy"),
)
COMPONENTS = {  # namespace, label, port of its metrics, by the name that selection.METRICS has
    "limiter": ("envoy-gateway-system", "app.kubernetes.io/name=envoy-ratelimit", 19001),
    "istiod": ("istio-system", "app=istiod", 15014),
    "Envoy Gateway": ("envoy-gateway-system", "control-plane=envoy-gateway", 19001),
}
FILES = ("access.jsonl", "ztunnel.log", "statuses.yaml", "provenance.yaml")


class ClusterRecording:
    """What was read so far."""

    def __init__(self, kube: Kube, admin: Admin, cluster: str) -> None:
        """`cluster` is its kind, which the provenance names."""
        self._kube, self._admin, self._cluster = kube, admin, cluster
        self._access: dict[str, str] = {}
        self._ztunnel: dict[str, str] = {}
        self._statuses: dict[str, dict[str, Any]] = {}
        self._counters: dict[str, str] = {}
        self._envoy = ""

    def collect(self) -> None:
        """Reads what is there now: objects and proxies of one test file are gone when the next begins. What cannot be
        read is left out."""
        with suppress(HarnessError):
            for pod in self._kube.list_pods("istio-system", "app=ztunnel"):
                log = self._kube.read_log("istio-system", text(pod, "metadata", "name"), "istio-proxy")
                selection.one_of_each(selection.ztunnel_lines(log), self._ztunnel)
        for namespace in sorted(Placement(self._kube.namespace).namespaces):
            with suppress(HarnessError):
                for pod in self._kube.list_objects("Pod", namespace):
                    if text(pod, "metadata", "labels", OWNING_GATEWAY):
                        self._collect_proxy(pod)
            for kind in STATUSES:
                with suppress(HarnessError):
                    for obj in self._kube.list_objects(kind, namespace if kind != "GatewayClass" else ""):
                        if kept := selection.status(obj):
                            self._statuses[str(ref_of(kept))] = kept
        for name, (namespace, labels, port) in COMPONENTS.items():
            with suppress(HarnessError):
                for pod in self._kube.list_pods(namespace, labels)[:1]:
                    page = self._admin.get(namespace, text(pod, "metadata", "name"), port, "/metrics")
                    file = f"{name.lower().replace(' ', '-')}-metrics.prom"
                    self._counters[file] = selection.counters(page, selection.METRICS[name])

    def _collect_proxy(self, pod: Document) -> None:
        namespace, name = text(pod, "metadata", "namespace"), text(pod, "metadata", "name")
        log = self._kube.read_log(namespace, name, "envoy")
        selection.one_of_each(selection.access_lines(log), self._access)
        if is_pod_ready(pod):
            page = self._admin.get(namespace, name, 19000, "/stats")
            file = f"{text(pod, 'metadata', 'labels', OWNING_GATEWAY)}-stats.txt"
            self._counters[file] = selection.counters(page, selection.ENVOY_COUNTERS)
            told = json.loads(self._admin.get(namespace, name, 19000, "/server_info"))
            self._envoy = text(told, "version").split("/")[1]  # "<commit>/1.37.5/Clean/RELEASE/BoringSSL"

    def write(self, into: Path) -> Path:
        """Writes the files into a folder that is named after the versions that run; returns it.

        Raises:
            SetupFailed: the cluster wrote no access line or no ztunnel line, or does not say what runs there.
        """
        versions = running_versions.read_versions(self._kube)
        if not self._access or not self._ztunnel:
            missing = "no access line of a proxy" if not self._access else "no access line of ztunnel"
            raise SetupFailed(f"nothing was recorded: {missing} was read", remedy="did the tests send requests?")
        try:
            istio, gateway = (".".join(map(str, numbers(versions[one])[:2])) for one in ("istio", "envoy-gateway"))
        except ValueError:
            raise SetupFailed(
                f"nothing was recorded: the versions that run are not known ({versions})",
                remedy="a recording needs its provenance; may the Deployments of istiod and Envoy Gateway be read?",
            ) from None
        folder = into / f"istio-{istio}-eg-{gateway}"
        folder.mkdir(parents=True, exist_ok=True)
        for old in (one for one in folder.iterdir() if one.is_file()):
            old.unlink()
        provenance = {
            "recorded": f"{datetime.now(UTC):%Y-%m-%d}",
            "cluster": self._cluster,
            "versions": versions | {"envoy": self._envoy or UNKNOWN},
            "images": running_versions.read_images(self._kube),
        }
        texts = {
            "access.jsonl": "".join(f"{line}\n" for line in self._access.values()),
            "ztunnel.log": "".join(f"{line}\n" for line in self._ztunnel.values()),
            "statuses.yaml": yaml.safe_dump_all(self._statuses.values(), sort_keys=False),
            "provenance.yaml": yaml.safe_dump(provenance, sort_keys=False),
            **{name: page for name, page in self._counters.items() if page},
        }
        for name, content in texts.items():
            (folder / name).write_text(redact(content))
        return folder
