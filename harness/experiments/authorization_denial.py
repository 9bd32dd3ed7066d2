"""Sends requests before, under and after an AuthorizationPolicy that denies them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from harness import record_replay
from harness.clients.mesh import MeshClient
from harness.components import Ztunnels
from harness.experiments.logged_connections import send_logged
from harness.http_exchange import Request
from harness.waits.responses import wait_for_response

TIMES = 3


@dataclass(frozen=True, slots=True)
class Denial:
    """Statuses before, under and after the policy (None: no response), and the destination's ztunnel's errors under it,
    one for each request."""

    before: list[int | None]
    under: list[int | None]
    after: list[int | None]
    errors: list[str | None]


def send_around_denial(
    client: MeshClient, ztunnel: Ztunnels, request: Request, policy: AbstractContextManager[None]
) -> Denial:
    """Sends TIMES requests in each phase. `policy` applies the policy for a block.

    Raises:
        NotReady: the policy was not enforced in time, or still after it was deleted.
        Inconclusive: ztunnel has no line for a connection.
    """
    before = send_logged(client, ztunnel, request, TIMES).statuses
    with policy:
        wait_for_response(client, request, status=None)
        since = record_replay.now()
        denied = client.send_in_turn(request, TIMES)
        lines = ztunnel.wait_for_connections(denied, since)
        errors = [ztunnel.wait_for_destination_line(since, line).error for line in lines]
    wait_for_response(client, request, status=200)
    return Denial(before, denied.statuses, send_logged(client, ztunnel, request, TIMES).statuses, errors)
