"""Sends one request around a proxy and one through it, and checks which the proxy logged."""

from __future__ import annotations

from dataclasses import dataclass

from harness import record_replay
from harness.clients.mesh import MeshClient
from harness.components import Envoy
from harness.http_exchange import Answers, Request


@dataclass(frozen=True, slots=True)
class Bypass:
    """A call past a proxy and one through it: their answers, and whether the proxy's log is silent about the first."""

    past: Answers
    through: Answers
    unseen: bool


def send_past_and_through(client: MeshClient, envoy: Envoy, past: Request, through: Request) -> Bypass:
    """Sends one request past the proxy, then one through it.

    Raises:
        Inconclusive: the second has no access line, so that the silence about the first says nothing.
    """
    since = record_replay.now()
    straight, marker = client.send_in_turn(past), client.send_in_turn(through)
    envoy.wait_for_lines(marker, since)  # the log is written in order: with this line, the other's would be there
    unseen = envoy.has_no_line_of(straight, since)
    return Bypass(straight, marker, unseen)
