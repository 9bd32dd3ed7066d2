"""Sends the same request to each replica of a proxy."""

from __future__ import annotations

from collections.abc import Callable

from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.components import Envoy
from harness.http_exchange import Answer, get
from harness.objects.address_with_port import url
from harness.objects.workloads import pod_ip


def send_to_each_replica(
    envoy: Envoy,
    path: str,
    is_so: Callable[[Answer], bool],
    *,
    client: IngressClient | MeshClient,
    address: str,
    inside: MeshClient,
    port: int,
    host: str | None = None,
) -> dict[str, bool]:
    """Whether each replica's answer is so, by pod. A single one is asked through its Service (`client` at the URL
    `address`), several by their pods' addresses on `port`, where Envoy listens, from inside the mesh."""
    pods = envoy.pods
    if len(pods) == 1:
        return {envoy.gateway: is_so(client.send(get(address, host=host)))}
    requests = {str(pod["metadata"]["name"]): get(url(pod_ip(pod), port, path), host=host) for pod in pods}
    return {name: is_so(inside.send(request)) for name, request in requests.items()}
