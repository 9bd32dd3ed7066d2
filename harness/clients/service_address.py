"""Finds a way to reach a Service from the host: load balancer, then node port, then kubectl port-forward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from harness import record_replay, timeouts
from harness.clients.http import can_connect, is_refused
from harness.cluster.protocol import Cluster
from harness.errors import NotReady, SetupFailed
from harness.kube import Kube
from harness.objects.address_with_port import host_port, url
from harness.objects.manifests import Document
from harness.objects.unstructured import Json, name_of, number, objects, text
from harness.objects.workloads import is_pod_ready, selector, target_port
from harness.wait import until


@dataclass(frozen=True, slots=True)
class Reach:
    """A base URL and how it goes: "load balancer 10.0.0.4:80", "node port …", "port-forward to pod …"."""

    url: str
    via: str


@contextmanager
def open_address(cluster: Cluster, kube: Kube, service: str, port: int) -> Iterator[Reach]:
    """Reaches a Service port ("default/bookinfo-ingress", 80) for the block.

    Raises:
        SetupFailed: no way led there (the message lists what was tried), or the Service has no such port.
    """
    namespace = service.partition("/")[0]
    found = kube.get(f"Service/{service}")
    entry = _port(found, port)
    tried = []
    for host, at_port, via in _addresses(kube, found, entry):
        at = host_port(host, at_port)
        if _connects(host, at_port):
            yield Reach(url(host, at_port), f"{via} {at}")
            return
        tried.append(f"{via} {at}")
    pods = _ready_pods(kube, found)
    if not pods:
        raise SetupFailed(f"Service/{service}: no ready pod behind it (tried: {', '.join(tried) or 'no address'})")
    pod = pods[0]["metadata"]["name"]
    with cluster.open(namespace, pod, _target(found, entry, pods[0])) as forwarded:
        yield Reach(forwarded, f"port-forward to pod {namespace}/{pod}")


def _connects(host: str, port: int) -> bool:
    """Whether connections to an address succeed. A refused one is tried again: Envoy's listener and kube-proxy's rules
    come a moment after the pod is ready, and kubectl's port-forward ends with the first connection that is refused."""
    if can_connect(host, port):
        return True
    if record_replay.is_replaying() or not is_refused(host, port):
        return False  # nothing changes by waiting
    with suppress(NotReady):
        until(
            lambda: can_connect(host, port),
            bool,
            what=f"{host_port(host, port)} accepts connections",
            within=timeouts.LISTENER,
        )
        return True
    return False


def find_udp_address(kube: Kube, service: str, port: int) -> tuple[str, int]:
    """The address at which a UDP port of a Service is reached from the host: load balancer or node port, untried.

    Raises:
        SetupFailed: it has neither, or no such port.
    """
    found = kube.get(f"Service/{service}")
    for host, at_port, _ in _addresses(kube, found, _port(found, port)):
        return host, at_port
    raise SetupFailed(f"Service/{service} has no address for UDP port {port} that is reachable from outside")


def _port(service: Document, port: int) -> Json:
    """The entry of the Service's port.

    Raises:
        SetupFailed: it has no such port.
    """
    ports = list(objects(service, "spec", "ports"))
    for entry in ports:
        if number(entry, "port") == port:
            return entry
    raise SetupFailed(f"{name_of(service)} has no port {port}, only {sorted(number(entry, 'port') for entry in ports)}")


def _addresses(kube: Kube, service: Document, entry: Json) -> Iterator[tuple[str, int, str]]:
    for ingress in objects(service, "status", "loadBalancer", "ingress"):
        if host := text(ingress, "ip") or text(ingress, "hostname"):
            yield host, number(entry, "port"), "load balancer"
    if node_port := number(entry, "nodePort"):
        # externalTrafficPolicy is Local: only a node that runs the proxy answers. On dual stack it has two addresses.
        for pod in _ready_pods(kube, service):
            both = [text(pod, "status", "hostIP"), *(text(ip, "ip") for ip in objects(pod, "status", "hostIPs"))]
            for host in dict.fromkeys(ip for ip in both if ip):
                yield host, node_port, "node port"


def _ready_pods(kube: Kube, service: Document) -> list[Document]:
    return [pod for pod in kube.list_pods(service["metadata"]["namespace"], selector(service)) if is_pod_ready(pod)]


def _target(service: Document, entry: Json, pod: Document) -> int:
    """The pod's port behind the Service's.

    Raises:
        SetupFailed: no container of the pod has a port of that name.
    """
    found = target_port(entry, pod)
    if found is None:
        raise SetupFailed(
            f"{name_of(service)}: targetPort {text(entry, 'targetPort')!r} is not the name of a port in "
            f"pod {pod['metadata']['name']}"
        )
    return found
