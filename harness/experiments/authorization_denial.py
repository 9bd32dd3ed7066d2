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
class Sent:
    """Statuses of TIMES requests (None: no response), and the error of each of their connections, by the destination's
    ztunnel (None: it ended without one)."""

    statuses: list[int | None]
    errors: list[str | None]


@dataclass(frozen=True, slots=True)
class Denial:
    """Requests before, under and after the policy."""

    before: Sent
    under: Sent
    after: Sent


def send_around_denial(
    client: MeshClient, ztunnel: Ztunnels, request: Request, service: str, policy: AbstractContextManager[None]
) -> Denial:
    """Sends TIMES requests to a Service without a waypoint in each phase. `policy` applies the policy for a block.

    Raises:
        NotReady: the policy was not enforced in time, or still after it was deleted.
        Inconclusive: ztunnel's log lacks the line of a connection.
    """
    before = _send(client, ztunnel, request, service)
    with policy:
        wait_for_response(client, request, status=None)
        under = _send(client, ztunnel, request, service)
    wait_for_response(client, request, status=200)
    return Denial(before, under, _send(client, ztunnel, request, service))


def _send(client: MeshClient, ztunnel: Ztunnels, request: Request, service: str) -> Sent:
    since = record_replay.now()
    answers = client.send_in_turn(request, TIMES)
    connections = dict.fromkeys(answer.local for answer in answers)

    def read_lines() -> list[ZtunnelLine]:
        # By address: after a burst ztunnel logs another port than the client's (tests/recordings/source-port-remapped).
        lines = [line for line in ztunnel.read_lines(since) if line.direction == "inbound" and line.time >= since]
        return [
            line for line in lines if line.src.ip == client.ip and (line.dst.service or "").startswith(f"{service}.")
        ]

    lines = wait_for_lines(
        read_lines,
        lambda lines: len(lines) == len(connections),
        what=f"ztunnel's lines of {len(connections)} connections from {client.ip} to {service}",
        silence="ztunnel's log has no line for some connections",
    )
    line_of = dict(zip(connections, lines, strict=True))  # both in the order of time: the requests were sent in turn
    for answer in answers:
        raw = line_of[answer.local].raw
        observations.record_sighting("ztunnel log", raw, of=[answer.id], raw=[raw])
    return Sent(answers.statuses, [line.error for line in lines])
