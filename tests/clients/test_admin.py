"""Admin ports: opened once, asked often, reopened when the tunnel broke, closed at the end."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.clients.admin import Admin
from harness.errors import Inconclusive, SetupFailed
from tests.fakes.cluster import FakeCluster

POD = ("default", "waypoint-1", 19000)


class Page(BaseHTTPRequestHandler):
    """/missing is 404, anything else says its path."""

    wbufsize = -1

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(self.path.encode())


@pytest.fixture
def serve() -> Iterator[Callable[[], str]]:
    """Starts a server and gives its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start() -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_port_is_opened_once(cluster: FakeCluster, serve: Callable[[], str]) -> None:
    """Several questions go through one tunnel; other ports have their own."""
    cluster.urls = {POD: serve(), ("default", "waypoint-2", 19000): serve()}
    admin = Admin(cluster)

    assert [admin.get(*POD, path) for path in ("/stats", "/clusters")] == ["/stats", "/clusters"]
    admin.get("default", "waypoint-2", 19000, "/stats")

    assert cluster.opened == [POD, ("default", "waypoint-2", 19000)]


def test_broken_tunnel_is_opened_anew_and_said(
    cluster: FakeCluster, serve: Callable[[], str], free_port: int, notes: list[tuple[str, str]]
) -> None:
    """A tunnel that went away is replaced once, and that is noted."""
    cluster.urls = {POD: f"http://127.0.0.1:{free_port}"}
    admin = Admin(cluster)
    with pytest.raises(Inconclusive):
        admin.get(*POD, "/stats")
    cluster.opened.clear()
    notes.clear()

    cluster.urls = {POD: serve()}

    assert admin.get(*POD, "/stats") == "/stats"
    assert cluster.opened == [POD]
    assert any("reopened" in text for _, text in notes)


def test_page_that_refuses_is_not_asked_again(cluster: FakeCluster, serve: Callable[[], str]) -> None:
    """A status is an answer: the tunnel is fine."""
    cluster.urls = {POD: serve()}
    admin = Admin(cluster)

    with pytest.raises(Inconclusive, match="status 404"):
        admin.get(*POD, "/missing")

    assert cluster.opened == [POD]
    assert cluster.closed == []


def test_every_tunnel_is_closed(cluster: FakeCluster, serve: Callable[[], str]) -> None:
    """Closing ends all, and may be done twice."""
    other = ("default", "waypoint-2", 19000)
    cluster.urls = {POD: serve(), other: serve()}
    admin = Admin(cluster)
    admin.get(*POD, "/")
    admin.get(*other, "/")

    admin.close()
    admin.close()

    assert sorted(cluster.closed) == sorted([POD, other])


def test_pod_that_is_not_there(cluster: FakeCluster) -> None:
    """A tunnel that cannot be opened is the cluster's own error, and is tried again the next time."""
    admin = Admin(cluster)
    for _ in range(2):
        with pytest.raises(SetupFailed, match="no way to default/waypoint-1:19000"):
            admin.get(*POD, "/stats")


def test_many_threads_share_a_tunnel(cluster: FakeCluster, serve: Callable[[], str]) -> None:
    """Questions at the same time open it once."""
    cluster.urls = {POD: serve()}
    admin = Admin(cluster)
    threads = [threading.Thread(target=admin.get, args=(*POD, "/stats")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert cluster.opened == [POD]
