"""What is gathered of requests at a place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from harness.experiments.ingress_or_waypoint import Place
from harness.experiments.request_metrics import send_metered
from harness.experiments.traversal import send_through_ingress
from harness.http_exchange import Answer, Answers, Request
from harness.logs.echo_server import Received
from harness.proxy.prometheus import MetricSample


def received(backend: str, **headers: str) -> Received:
    now = datetime.now(UTC)
    return Received(now, backend, "GET", "/", "echo", "HTTP/1.1", "10.0.0.9:1", 200, "e2e/rq", headers, "{}")


class Client:
    """Answers each request, and remembers all."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.sent = prefix, list[Request]()
        self.status: int | None = 200

    def _answers(self, requests: Any) -> Answers:
        begun = len(self.sent)
        self.sent += requests
        found = (Answer(f"{self.prefix}{begun + n}", self.status, {}, 1) for n in range(len(requests)))
        return Answers(tuple(found))

    def send_each(self, requests: Any) -> Answers:
        return self._answers(requests)

    def send_together(self, request: Request, times: int) -> Answers:
        return self._answers([request] * times)


class Line:
    def __init__(self, agent: str, flags: str = "-") -> None:
        self.flags, self.details, self.user_agent = flags, "via_upstream", agent


class Envoy:
    def __init__(self, *logged: str) -> None:
        self.logged = logged

    @contextmanager
    def counting(self, ending: str) -> Iterator[Any]:
        change = SimpleNamespace(moved=0)
        yield change
        change.moved = len(ending)

    def lines_of_server_name(self, name: str, since: datetime, *, count: int) -> list[Line]:
        return [Line(name)] * count

    def wait_for_lines(self, answers: Answers, since: datetime) -> list[Line]:
        return [Line(id_) for id_ in answers.ids]

    def read_access_log(self, since: datetime) -> Any:
        return type("Log", (), {"lines": tuple(Line(f"e2e/{id_}") for id_ in self.logged)})()


class Echo:
    """Two pods; the first request of each arm was received by both, the others by none."""

    def __init__(self) -> None:
        self.urls = {"echo-v1": "http://10.0.0.1:8080/", "echo-v2": "http://10.0.0.2:8080/"}

    def read_received(self, answers: Answers, since: datetime, *, markers: dict[str, str]) -> Any:
        self.markers = markers
        return ((received("echo-v1", team="blue"), received("echo-v2")), *(() for _ in answers.ids[1:]))


def place(client: Client, base: str = "http://echo:9080", logged: tuple[str, ...] = ()) -> tuple[Place, Client, Echo]:
    past, echo = Client("past"), Echo()
    made = Place("waypoint", "waypoint", base, client, Envoy(*logged), past, echo)  # type: ignore[arg-type]  # stand-ins
    return made, past, echo


def test_requests_name_the_route() -> None:
    """A request has the place's URL, the route's host unless another is given, and headers as keywords."""
    here, _, _ = place(Client("rq"))

    assert here.get("/a", x_team="blue") == Request("http://echo:9080/a", {"x-team": "blue"}, "echo")
    assert here.get(host="other.example", method="PUT") == Request("http://echo:9080/", {}, "other.example", "PUT")


def test_every_witness_is_gathered() -> None:
    """Answers, lines, what backends received, and the first request to each pod, which marks the end of its log."""
    here, past, echo = place(Client("rq"))

    arm = here.send([here.get("/a", x_team="blue"), here.get("/b")])

    assert (arm.statuses, arm.flags, arm.details) == ([200, 200], ["-", "-"], ["via_upstream"] * 2)
    assert (arm.reached, arm.backends, arm.header("team")) == ([2, 0], ["echo-v1", ""], ["blue", None])
    assert [request.url for request in past.sent] == ["http://10.0.0.1:8080/a", "http://10.0.0.2:8080/a"]
    assert {request.headers["x-team"] for request in past.sent} == {"blue"}
    assert echo.markers == {"echo-v1": "past0", "echo-v2": "past1"}
    assert arm.past.statuses == [200, 200]


def test_ingress_has_paths_for_urls() -> None:
    """At the ingress URLs are paths, and past it they are the pods'; alike requests may go together."""
    client = Client("rq")
    here, past, _ = place(client, base="")

    arm = here.send([here.get("/a")] * 3, at_once=True)

    assert [request.url for request in client.sent] == ["/a"] * 3
    assert [request.url for request in past.sent] == ["http://10.0.0.1:8080/a", "http://10.0.0.2:8080/a"]
    assert len(arm.lines) == 3


def test_traversal_counts_the_waypoints_lines() -> None:
    """Each request of the ingress has as many lines as the waypoint's log has of it."""
    ingress, _, _ = place(Client("rq"), base="")
    waypoint, _, _ = place(Client("other"), logged=("rq0", "rq2", "rq2", "other0"))

    seen = send_through_ingress(ingress, waypoint, ingress.get("/"), 3)

    assert seen.at_waypoint == [1, 0, 2]
    assert seen.arm.statuses == [200] * 3


def test_requests_that_envoy_does_not_log_are_counted() -> None:
    """Only those that it logs have lines; the counter stands for the others."""
    here, past, _ = place(Client("rq"))

    arm = here.send_counted([here.get()] * 3, "over", logged=lambda answer: answer.id != "rq1")

    assert [line.user_agent for line in arm.lines] == ["rq0", "rq2"]
    assert (arm.counted, len(past.sent)) == (4, 2)
    assert here.send_counted([here.get()], "over", logged=lambda _: False).lines == ()


@pytest.mark.parametrize(("status", "lines"), [(200, ["a.example"]), (None, [])])
def test_passed_connections_have_lines_by_server_name(status: int | None, lines: list[str]) -> None:
    """If one got an answer; without a route no connection is passed on, and none has a line."""
    client = Client("rq")
    client.status = status
    here, _, _ = place(client)

    arm = here.send_by_server_name([here.get()], "a.example")

    assert [line.user_agent for line in arm.lines] == lines


def test_metrics_are_read_around_the_requests() -> None:
    """By how much the samples with these labels rose, all together; what is not exposed is at 0."""
    here, _, _ = place(Client("rq"))
    labels = {"cluster": "a", "pod": "1"}
    reads = [[MetricSample("rq", labels, 2.0)], [MetricSample("rq", labels, 5.0), MetricSample("new", {}, 1.0)]]

    seen = send_metered(here, [here.get()] * 2, "waypoint", lambda: reads.pop(0))

    assert (seen.moved("rq", cluster="a"), seen.moved("rq", cluster="b"), seen.moved("new")) == (3.0, 0.0, 1.0)
    assert seen.names == {"rq", "new"}
    assert len(seen.arm.answers) == 2
