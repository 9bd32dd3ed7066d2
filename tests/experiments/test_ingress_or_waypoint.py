"""What is gathered of requests at a place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from harness.experiments.ingress_or_waypoint import Place
from harness.experiments.traversal import send_through_ingress
from harness.http_exchange import Answer, Answers, Request
from harness.logs.echo_server import Received


def received(backend: str, **headers: str) -> Received:
    now = datetime.now(UTC)
    return Received(now, backend, "GET", "/", "echo", "HTTP/1.1", "10.0.0.9:1", 200, "e2e/rq", headers, "{}")


class Client:
    """Answers each request, and remembers all."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.sent = prefix, list[Request]()

    def _answers(self, requests: Any) -> Answers:
        begun = len(self.sent)
        self.sent += requests
        return Answers(tuple(Answer(f"{self.prefix}{begun + n}", 200, {}, 1) for n in range(len(requests))))

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
