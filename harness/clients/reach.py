"""How a Service is reached from the host: its load balancer, else a node's port, else kubectl. Chosen by what works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.clients.http import connects
from harness.cluster.protocol import Cluster
from harness.errors import SetupFailed
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.workloads import pod_ready


@dataclass(frozen=True, slots=True)
class Reach:
    """A base URL and how it goes: "load balancer 10.0.0.4:80", "node port …", "port-forward to pod …"."""

    url: str
    via: str


@contextmanager
def reach(cluster: Cluster, kube: Kube, service: str, port: int) -> Iterator[Reach]:
    """Reaches a Service port ("default/bookinfo-ingress", 80) for the block.

    Raises:
        SetupFailed: no way led there; the message lists what was tried.
    """
    namespace = service.partition("/")[0]
    found = kube.get(f"Service/{service}")
    tried = []
    for host, number, via in _addresses(kube, found, port):
        if connects(host, number):
            yield Reach(f"http://{host}:{number}", f"{via} {host}:{number}")
            return
        tried.append(f"{via} {host}:{number}")
    pods = _ready_pods(kube, found)
    if not pods:
        raise SetupFailed(f"Service/{service}: no ready pod behind it (tried: {', '.join(tried) or 'no address'})")
    pod = pods[0]["metadata"]["name"]
    with cluster.open(namespace, pod, _target(found, port)) as url:
        yield Reach(url, f"port-forward to pod {namespace}/{pod}")


def _addresses(kube: Kube, service: Document, port: int) -> Iterator[tuple[str, int, str]]:
    for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
        yield entry.get("ip") or entry["hostname"], port, "load balancer"
    node_port = next((p.get("nodePort") for p in service["spec"]["ports"] if p["port"] == port), None)
    if node_port:
        # externalTrafficPolicy is Local: only a node that runs the proxy answers.
        for pod in _ready_pods(kube, service):
            yield pod["status"]["hostIP"], int(node_port), "node port"


def _ready_pods(kube: Kube, service: Document) -> list[Document]:
    labels = ",".join(f"{k}={v}" for k, v in service["spec"]["selector"].items())
    return [pod for pod in kube.pods(service["metadata"]["namespace"], labels) if pod_ready(pod)]


def _target(service: Document, port: int) -> int:
    return next(int(p.get("targetPort") or port) for p in service["spec"]["ports"] if p["port"] == port)
