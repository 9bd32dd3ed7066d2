"""The place where a feature is tested: the ingress or the waypoint, with its client and Envoy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from harness import record_replay
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.components import Echo, Envoy
from harness.http_exchange import Answer, Answers, Request
from harness.logs.echo_server import Received
from harness.logs.envoy_access import AccessLine

HOST = "echo"  # the host name of the route (manifests/base/echo.yaml)


@dataclass(frozen=True, slots=True)
class Arm:
    """The same requests at one time: their answers in the order sent, each one's access line, what the backends
    received of each, and the answers to the first request sent to each backend's pod, past every proxy. Where Envoy
    ends some before it logs them, only the others have lines, and `counted` is how far its counter of such ends
    moved."""

    answers: Answers
    lines: tuple[AccessLine, ...]
    received: tuple[tuple[Received, ...], ...]
    past: Answers
    counted: int = 0

    @property
    def statuses(self) -> list[int | None]:
        return self.answers.statuses

    @property
    def flags(self) -> list[str]:
        """Envoy's response flags."""
        return [line.flags for line in self.lines]

    @property
    def details(self) -> list[str | None]:
        """Envoy's response code details."""
        return [line.details for line in self.lines]

    @property
    def reached(self) -> list[int]:
        """How often the backends received each request."""
        return [len(each) for each in self.received]

    @property
    def backends(self) -> list[str]:
        """Which workload received each request first; "" where none did."""
        return [each[0].backend if each else "" for each in self.received]

    def header(self, name: str) -> list[str | None]:
        """A header of each request as the first backend received it."""
        return [each[0].headers.get(name) if each else None for each in self.received]


@dataclass(frozen=True, slots=True)
class Place:
    """Who sends, through which proxy, to whom. `base` begins the URL of its requests."""

    name: str
    gateway: str
    base: str
    client: IngressClient | MeshClient
    envoy: Envoy
    past: MeshClient
    echo: Echo

    def get(
        self, path: str = "/", *, host: str | None = None, method: str = "GET", body: str = "", **headers: str
    ) -> Request:
        """A request to the echo backend; keyword names become header names, as in `http_exchange.get`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request(self.base + path, named, host or HOST, method, body)

    @property
    def route(self) -> dict[str, Any]:
        """The route of the echo backend in Envoy's configuration."""
        return self.envoy.route_config(f"httproute/{self.envoy.namespace}/echo/")

    @property
    def cluster(self) -> dict[str, Any]:
        """The active cluster of the echo backend in Envoy's configuration."""
        return self.envoy.cluster_config(self.cluster_name)

    @property
    def cluster_name(self) -> str:
        """The name of that cluster."""
        return f"httproute/{self.envoy.namespace}/echo/rule/0"

    def send_one(self, request: Request) -> Answer:
        """Sends it once."""
        return self.client.send(request)

    def send(self, requests: Sequence[Request], *, at_once: bool = False) -> Arm:
        """Sends the requests, in turn or (all alike) together, and gathers every witness of them.

        Raises:
            Inconclusive: a witness is missing.
        """
        since = record_replay.now()
        return self.observe(self._answers(requests, at_once), requests[0], since)

    def send_counted(
        self,
        requests: Sequence[Request],
        counter: str,
        *,
        at_once: bool = False,
        logged: Callable[[Answer], bool] = lambda answer: answer.status is not None,
    ) -> Arm:
        """The same where Envoy ends some requests before it logs them. Those that it has logged, by their answers
        (`logged`), have an access line; for the others there is the counter whose name ends with `counter`.

        Raises:
            Inconclusive: a witness is missing.
        """
        since = record_replay.now()
        with self.envoy.counting(counter) as change:
            answers = self._answers(requests, at_once)
        return self.observe(answers, requests[0], since, logged, change.moved)

    def send_by_server_name(self, requests: Sequence[Request], name: str) -> Arm:
        """The same through a proxy of connections, which has no request ids: its lines are those of connections to this
        TLS server name, if one got an answer.

        Raises:
            Inconclusive: a witness is missing.
        """
        since = record_replay.now()
        arm = self.observe(self._answers(requests, False), requests[0], since, logged=lambda _: False)
        passed = any(status is not None for status in arm.statuses)
        lines = self.envoy.lines_of_server_name(name, since, count=1) if passed else []
        return replace(arm, lines=tuple(lines))

    def _answers(self, requests: Sequence[Request], at_once: bool) -> Answers:
        return self.client.send_together(requests[0], len(requests)) if at_once else self.client.send_each(requests)

    def observe(
        self,
        answers: Answers,
        first: Request,
        since: datetime,
        logged: Callable[[Answer], bool] = lambda _: True,
        counted: int = 0,
    ) -> Arm:
        """The witnesses of requests that were sent."""
        urls = self.echo.urls
        path = first.url.removeprefix(self.base)
        past = self.past.send_each([replace(first, url=url.rstrip("/") + path) for url in urls.values()])
        with_line = Answers(tuple(filter(logged, answers)))
        lines = tuple(self.envoy.wait_for_lines(with_line, since)) if with_line else ()
        received = self.echo.read_received(answers, since, markers=dict(zip(urls, past.ids, strict=True)))
        return Arm(answers, lines, received, past, counted)
