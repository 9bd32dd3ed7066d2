"""Sends requests as a load balancer with PROXY protocol does, each with a client address of its own."""

from __future__ import annotations

from collections.abc import Sequence

from harness import record_replay
from harness.clients.http import IngressClient
from harness.clients.proxy_protocol import relayed_client
from harness.errors import Inconclusive
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Answer, Answers, Request


def send_from(place: Place, request: Request, version: int, addresses: Sequence[str | None], counter: str) -> Arm:
    """Sends the request once for each address, over a new connection whose PROXY protocol header names it; for None
    over one without a header. Those with an answer from a route have access lines; `counter` is as in `send_counted`.

    Raises:
        Inconclusive: a witness is missing.
    """
    since = record_replay.now()
    with place.envoy.counting(counter) as change:
        answers = Answers(tuple(send_one_from(place, request, version, address) for address in addresses))
    return place.observe(answers, request, since, lambda answer: answer.status in (200, 429), change.moved)


def send_one_from(place: Place, request: Request, version: int, address: str | None) -> Answer:
    """Sends it once so.

    Raises:
        Inconclusive: the place is called from inside the mesh.
    """
    if not isinstance(place.client, IngressClient):
        raise Inconclusive(f"the {place.name} has no client outside of the mesh")
    if address is None:
        return place.client.send(request)
    with relayed_client(place.client, version, address) as client:
        return client.send(request)
