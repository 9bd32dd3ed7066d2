"""Sends requests before, under and after an AuthorizationPolicy that denies them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from harness import observations, record_replay
from harness.clients.mesh import MeshClient
from harness.components import Ztunnels
from harness.components.wait_for_log_lines import wait_for_lines
from harness.http_exchange import Request
from harness.logs.ztunnel import ZtunnelLine
from harness.waits.responses import wait_for_response

TIMES = 3


@dataclass(frozen=True, slots=True)
class Denial:
    """Statuses before, under and after the policy (None: no response), and the errors of the connections from the
    client that the destination's ztunnel rejected under it."""

    before: list[int | None]
    under: list[int | None]
    after: list[int | None]
    errors: list[str]


def send_around_denial(
    client: MeshClient, ztunnel: Ztunnels, request: Request, policy: AbstractContextManager[None]
) -> Denial:
    """Sends TIMES requests in each phase. `policy` applies the policy for a block.

    Raises:
        NotReady: the policy was not enforced in time, or still after it was deleted.
        Inconclusive: ztunnel's log has fewer rejected connections than requests.
    """

    def read_rejected() -> list[ZtunnelLine]:
        # By address: after a burst the kernel gives ztunnel another port than the client's (source-port-remapped).
        lines = [line for line in ztunnel.read_lines(since) if line.is_policy_rejection]
        ours = [line for line in lines if line.direction == "inbound" and line.src.ip == client.ip]
        return [line for line in ours if line.time >= since]  # none of a probe

    before = client.send_in_turn(request, TIMES)
    with policy:
        wait_for_response(client, request, status=None)
        since = record_replay.now()
        denied = client.send_in_turn(request, TIMES)
        rejected = wait_for_lines(
            read_rejected,
            lambda lines: len(lines) == TIMES,
            what=f"ztunnel's lines of {TIMES} rejected connections from {client.ip}",
            silence="ztunnel's log has no line for some connections",
        )
    for answer, line in zip(denied, rejected, strict=True):
        observations.record_sighting("ztunnel log", line.raw, of=[answer.id], raw=[line.raw])
    wait_for_response(client, request, status=200)
    after = client.send_in_turn(request, TIMES)
    return Denial(before.statuses, denied.statuses, after.statuses, [line.error or "" for line in rejected])
