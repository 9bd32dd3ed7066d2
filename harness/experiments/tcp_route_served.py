"""Checks whether a TCPRoute forwards connections, and reads its status."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from harness import timeouts
from harness.clients.mesh import MeshClient
from harness.errors import NotReady
from harness.kube import ApiUnavailable, Kube
from harness.wait import until
from harness.waits import status

TIMES = 3  # messages over one connection


@dataclass(frozen=True, slots=True)
class TcpRoute:
    """How many of TIMES messages came back, and whether the route is Accepted."""

    returned: int
    accepted: bool


def observe_tcp_route(client: MeshClient, kube: Kube, url: str, route: str) -> TcpRoute:
    """Sends messages to the route's listener, and reads its status.

    Raises:
        Inconclusive: fortio wrote no result.
    """
    returned = client.fortio(url, TIMES).get("OK", 0)
    return TcpRoute(returned, status.read_condition(kube, route, "Accepted").met)


def wait_for_tcp_route(client: MeshClient, kube: Kube, url: str, route: str) -> TcpRoute:
    """The same once all messages come back, or at the end of the bound for that."""
    with suppress(NotReady):
        until(
            lambda: client.fortio(url, TIMES).get("OK", 0),
            lambda returned: returned == TIMES,
            what=f"{url} sends back what it gets",
            within=timeouts.XDS_PROPAGATION,
            every=1.0,
            transient=(ApiUnavailable,),
        )
    return observe_tcp_route(client, kube, url, route)
