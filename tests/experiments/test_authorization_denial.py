"""Requests around a denial: which of ztunnel's lines are of these requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from harness import record_replay
from harness.experiments.authorization_denial import TIMES, Denial, Sent, send_around_denial
from harness.http_exchange import Answer, Answers, get
from harness.logs.ztunnel import ZtunnelLine, parse_ztunnel_line

ERROR = "connection closed due to policy rejection: explicitly denied by: default/details-closed"
LINE = (
    "{time}\tinfo\taccess\tconnection complete\tsrc.addr={source}:38118 dst.addr=10.244.1.8:15008 "
    'dst.hbone_addr=10.244.1.8:9080 dst.service="{service}.default.svc.cluster.local" direction="{direction}" '
    'bytes_sent=0 bytes_recv=0 duration="0ms"'
)


class Mesh:
    """A client and ztunnel's log. The policy takes effect at the third probe; requests that succeed share a
    connection."""

    ip = "10.244.1.6"

    def __init__(self) -> None:
        self.lines: list[ZtunnelLine] = []
        self.applied, self.probes, self.port = False, 0, 30000

    @contextmanager
    def policy(self) -> Iterator[None]:
        self.applied = True
        yield
        self.applied = False

    def _log(self, source: str, direction: str = "inbound", service: str = "details", error: str = "") -> None:
        time = record_replay.now().isoformat().replace("+00:00", "Z")
        text = LINE.format(time=time, source=source, direction=direction, service=service)
        line = parse_ztunnel_line(text + (f' error="{error}"' if error else ""))
        assert line is not None
        self.lines.append(line)

    def send(self, request: Any) -> Answer:
        (answer,) = self.send_in_turn(request, 1)
        return answer

    def send_in_turn(self, request: Any, times: int) -> Answers:
        self.probes += self.applied
        denied = self.applied and self.probes > 2
        answers = []
        for number in range(times):
            self.port += denied or number == 0
            answers.append(Answer("rq", None if denied else 200, {}, 1.0, local=f"{self.ip}:{self.port}"))
            self._log("10.244.1.9")  # another client
            self._log(self.ip, service="ratings")
            self._log(self.ip, "outbound", error="http status: 401 Unauthorized" if denied else "")
        for _ in {answer.local for answer in answers}:
            self._log(self.ip, error=ERROR if denied else "")
        return Answers(tuple(answers))

    def read_lines(self, since: datetime) -> tuple[ZtunnelLine, ...]:
        return tuple(self.lines)  # also older ones: the API counts whole seconds


def test_lines_of_probes_and_others_are_left_out() -> None:
    """Each connection has one line of the destination's ztunnel, by the client's address."""
    mesh: Any = Mesh()

    found = send_around_denial(mesh, mesh, get("http://details:9080/details/0"), "details", mesh.policy())

    allowed = Sent([200] * TIMES, [None])
    assert found == Denial(allowed, Sent([None] * TIMES, [ERROR] * TIMES), allowed)
