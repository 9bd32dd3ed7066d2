"""The client outside the mesh: nothing is retried, nothing is hidden, together means together."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from harness import observations
from harness.clients.http import BODY_LIMIT, IngressClient, can_connect, fetch, is_refused
from harness.errors import Inconclusive
from harness.http_exchange import Request, get
from tests.patience import SOON


def client(handle: Callable[[httpx.Request], httpx.Response]) -> IngressClient:
    """A client whose server is a function."""
    return IngressClient("http://ingress.test", "a test", httpx.MockTransport(handle))


def answering(*statuses: int) -> tuple[IngressClient, list[httpx.Request]]:
    """A client whose server answers with these statuses in turn, and the requests it got."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(statuses[len(seen) - 1], headers={"X-Seen": str(len(seen))}, text="body")

    return client(handle), seen


class Server(ThreadingHTTPServer):
    """A server on loopback that runs `gate` before each answer."""

    request_queue_size = 256
    gate: Callable[[], None] = staticmethod(lambda: None)
    text = "ok"
    status = 200


class Handler(BaseHTTPRequestHandler):
    server: Server
    wbufsize = -1

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.server.gate()
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.text.encode())


@pytest.fixture
def server() -> Iterator[Server]:
    """It, running."""
    made = Server(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def url(server: Server, path: str = "") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def test_answer_has_what_came_back() -> None:
    """Status, headers by lower-case name, body and a time."""
    ingress, _ = answering(200)

    answer = ingress.send(get("/productpage"))

    assert (answer.status, answer.body, answer.error) == (200, "body", "")
    assert answer.header("x-seen") == "1"
    assert answer.ms >= 0


def test_id_is_sent_in_both_headers() -> None:
    """Envoy may replace x-request-id at the edge; the user agent carries it further."""
    ingress, seen = answering(200, 200)

    answers = ingress.send_in_turn(get("/productpage", x_user_id="john"), 2)

    assert [r.headers["x-request-id"] for r in seen] == answers.ids
    assert [r.headers["user-agent"] for r in seen] == [f"e2e/{id_}" for id_ in answers.ids]
    assert len(set(answers.ids)) == 2
    assert {r.headers["x-user-id"] for r in seen} == {"john"}
    assert {str(r.url) for r in seen} == {"http://ingress.test/productpage"}


def test_host_is_sent_where_asked_for() -> None:
    """A request may be for another host than the one it goes to."""
    ingress, seen = answering(200, 200)

    ingress.send(get("/", host="bookinfo.example"))
    ingress.send(get("/"))

    assert [r.headers["host"] for r in seen] == ["bookinfo.example", "ingress.test"]


@pytest.mark.parametrize("status", [301, 404, 408, 425, 429, 500, 502, 503, 504])
def test_no_status_is_retried(status: int) -> None:
    """Whatever comes back is the answer: one request, one answer."""
    ingress, seen = answering(status, 200, 200)

    assert ingress.send_in_turn(get("/")).statuses == [status]
    assert len(seen) == 1


def test_order_of_answers_is_the_order_sent() -> None:
    """The history keeps each status at its place."""
    ingress, _ = answering(200, 200, 429, 503)

    assert ingress.send_in_turn(get("/"), 4).statuses == [200, 200, 429, 503]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.ReadError("reset"),
    ],
)
def test_transport_error_is_an_answer(error: httpx.TransportError) -> None:
    """A request without an HTTP answer has no status, and says why; it is not sent again."""
    calls: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        raise error

    answer = client(handle).send(get("/"))

    assert (answer.status, answer.error) == (None, f"{type(error).__name__}: {error}")
    assert calls == [1]


def test_undecodable_answer_is_an_answer() -> None:
    """A body that is not what its headers say is reported, not raised."""
    answer = client(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=b"no gzip")).send(
        get("/")
    )

    assert answer.status is None
    assert answer.error.startswith("DecodingError")


def test_errors_among_answers_keep_their_place() -> None:
    """One broken request does not lose the others."""
    ingress = client(lambda request: httpx.Response(200) if request.url.path == "/" else httpx.Response(0))
    calls: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(1)
        if len(calls) == 2:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)

    ingress = client(handle)

    assert ingress.send_in_turn(get("/"), 3).statuses == [200, None, 200]


def test_redirects_are_not_followed() -> None:
    """A redirect is an answer."""
    ingress = client(lambda _: httpx.Response(302, headers={"location": "http://elsewhere/"}))

    answer = ingress.send(get("/"))

    assert (answer.status, answer.header("location")) == (302, "http://elsewhere/")


def test_long_bodies_are_cut() -> None:
    """A body is kept as far as a reader would read it."""
    ingress = client(lambda _: httpx.Response(200, text="x" * (BODY_LIMIT + 1)))

    assert len(ingress.send(get("/")).body) == BODY_LIMIT


def test_ledger_has_the_clients_word() -> None:
    """What came back is noted, with the way it went."""
    ingress, _ = answering(200, 429)

    ingress.send_in_turn(get("/"), 2)

    assert [(s.who, s.what) for s in observations.page().sightings] == [
        ("ingress client", "<2 answers: 200 x 1, 429 x 1> via a test")
    ]


def test_at_once_really_overlaps(server: Server) -> None:
    """All are under way together, more than any pool's default size: none is answered before the last arrived."""
    together = 130
    arrived = threading.Barrier(together)
    server.gate = lambda: arrived.wait(SOON)  # type: ignore[method-assign]  # one more, or one fewer, breaks it

    answers = IngressClient(url(server), "loopback").send_together(get("/"), together)

    assert answers.statuses == [200] * together
    assert len({answer.local for answer in answers}) == together
    assert len(set(answers.ids)) == together


def test_in_turn_does_not_overlap(server: Server) -> None:
    """Each is sent after the answer to the one before."""
    lock, overlaps = threading.Lock(), []

    def gate() -> None:
        overlaps.append(not lock.acquire(blocking=False))
        lock.release()

    server.gate = gate  # type: ignore[method-assign]  # a plain function

    assert IngressClient(url(server), "loopback").send_in_turn(get("/"), 5).statuses == [200] * 5
    assert overlaps == [False] * 5


def test_own_address_of_the_connection(server: Server) -> None:
    """The client's own ip:port joins an answer to a proxy's log."""
    peers: list[str] = []
    original = Handler.do_GET

    def spy(self: Handler) -> None:
        peers.append("{}:{}".format(*self.client_address))
        original(self)

    Handler.do_GET = spy  # type: ignore[method-assign]  # for this test
    try:
        answer = IngressClient(url(server), "loopback").send(get("/"))
    finally:
        Handler.do_GET = original  # type: ignore[method-assign]  # as above

    assert peers == [answer.local]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_proxies_of_the_environment_are_ignored(
    server: Server, monkeypatch: pytest.MonkeyPatch, free_port: int, name: str
) -> None:
    """A company's proxy between us and the ingress would be one more party."""
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")

    assert IngressClient(url(server), "loopback").send(get("/")).status == 200
    assert fetch(url(server)) == "ok"
    assert can_connect("127.0.0.1", server.server_address[1])


def test_nobody_there_is_an_answer(free_port: int) -> None:
    """A refused connection is reported as what it is."""
    answer = IngressClient(f"http://127.0.0.1:{free_port}", "loopback").send(get("/"))

    assert answer.status is None
    assert answer.error.startswith("ConnectError")
    assert answer.local == ""


def test_fetch_gives_the_text(server: Server) -> None:
    """An admin page is its text."""
    assert fetch(url(server, "/stats")) == "ok"


@pytest.mark.parametrize("status", [204, 301, 404, 503])
def test_fetch_of_anything_but_200_is_unjudged(server: Server, status: int) -> None:
    """Another status is reported with what came along: what the page would have said is not known."""
    server.status, server.text = status, "" if status == 204 else "no such page"

    with pytest.raises(Inconclusive, match=f"status {status}"):
        fetch(url(server))


def test_fetch_from_nobody_is_unjudged(free_port: int) -> None:
    """No answer says nothing of what the answer would be."""
    with pytest.raises(Inconclusive, match=r"GET http://127.0.0.1:.*ConnectError"):
        fetch(f"http://127.0.0.1:{free_port}/stats")


def test_fetch_is_bounded(server: Server) -> None:
    """A page that does not come is not waited for longer than said."""
    stay = threading.Event()
    server.gate = lambda: stay.wait(2) and None  # type: ignore[method-assign]  # a plain function

    with pytest.raises(Inconclusive, match="ReadTimeout"):
        fetch(url(server), within=0.05)
    stay.set()


def test_connects(server: Server, free_port: int) -> None:
    """Whoever accepts is connected to, whatever the answer; nobody is not."""
    server.status = 503

    assert can_connect("127.0.0.1", server.server_address[1])
    assert not can_connect("127.0.0.1", free_port)
    assert is_refused("127.0.0.1", free_port)
    assert not is_refused("127.0.0.1", server.server_address[1])


def test_connects_to_who_does_not_speak_http() -> None:
    """A port that is taken is a port that is reached."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()

        def hang_up() -> None:
            one.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert can_connect("127.0.0.1", one.getsockname()[1])


def test_different_requests_keep_their_order() -> None:
    """Each with its own method, path and headers."""
    ingress, seen = answering(200, 404)

    found = ingress.send_each([get("/a", x_team="blue"), Request("/b", method="OPTIONS")])

    assert found.statuses == [200, 404]
    assert [(one.method, one.url.path) for one in seen] == [("GET", "/a"), ("OPTIONS", "/b")]
    assert seen[0].headers["x-team"] == "blue"


def test_body_is_sent_and_recorded_by_its_length() -> None:
    """What was sent is evidence; a password in a form is not."""
    sender, seen = answering(200)
    request = Request("/", method="POST", body="password=sesame")

    answers = sender.send_in_turn(request)

    assert (seen[0].method, seen[0].content) == ("POST", b"password=sesame")
    assert '"bytes": 15' in answers.raw([request])[0]
    assert "sesame" not in answers.raw([request])[0]
