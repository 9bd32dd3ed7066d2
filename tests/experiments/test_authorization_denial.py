"""Requests around a denial: which of ztunnel's lines are of these requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from harness import record_replay
from harness.experiments.authorization_denial import TIMES, Denial, send_around_denial
from harness.http_exchange import Answer, Answers, get
from harness.logs.ztunnel import ZtunnelLine, parse_ztunnel_line

ERROR = "connection closed due to policy rejection: explicitly denied by: default/details-closed"
LINE = (
    "{time}\terror\taccess\tconnection complete\tsrc.addr={source}:38118 dst.addr=10.244.1.8:15008 "
    'dst.hbone_addr=10.244.1.8:9080 direction="{direction}" bytes_sent=0 bytes_recv=0 duration="0ms" error="{error}"'
)


class Mesh:
    """A client, whose requests fail under the policy, and ztunnel's log. The policy takes effect at the third probe."""

    ip = "10.244.1.6"

    def __init__(self) -> None:
        self.lines: list[ZtunnelLine] = []
        self.applied, self.probes = False, 0

    @contextmanager
    def policy(self) -> Iterator[None]:
        self.applied = True
        yield
        self.applied = False

    def _rejected(self, source: str, direction: str = "inbound", error: str = ERROR) -> None:
        time = record_replay.now().isoformat().replace("+00:00", "Z")
        line = parse_ztunnel_line(LINE.format(time=time, source=source, direction=direction, error=error))
        assert line is not None
        self.lines.append(line)

    def send(self, request: Any) -> Answer:
        self.probes += self.applied
        denied = self.applied and self.probes > 2
        if denied:
            self._rejected(self.ip)
        return Answer("rq", None if denied else 200, {}, 1.0)

    def send_in_turn(self, request: Any, times: int) -> Answers:
        answer = self.send(request)
        for _ in range(times - 1):
            self.send(request)
        if self.applied:
            self._rejected("10.244.1.9")  # another client
            self._rejected(self.ip, "outbound", "http status: 401 Unauthorized")
        return Answers(tuple(replace(answer, id=f"rq-{number}") for number in range(times)))

    def read_lines(self, since: datetime) -> tuple[ZtunnelLine, ...]:
        return tuple(self.lines)  # also older ones: the API counts whole seconds


def test_lines_of_probes_and_others_are_left_out() -> None:
    """Each request has one line of the destination's ztunnel, by the client's address."""
    mesh: Any = Mesh()

    found = send_around_denial(mesh, mesh, get("http://details:9080/details/0"), mesh.policy())

    assert found == Denial([200] * TIMES, [None] * TIMES, [200] * TIMES, [ERROR] * TIMES)
