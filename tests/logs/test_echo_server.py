"""Requests in the echo backend's log."""

from datetime import UTC, datetime
from pathlib import Path

from harness.logs.echo_server import parse_echo_log, tcp_clients, udp_clients

LOG = (Path(__file__).resolve().parents[1] / "recordings" / "logs" / "echo-v1.log").read_text()


def test_requests_are_read_from_a_recorded_log() -> None:
    """Each request with its workload, and what fortio says besides is no request."""
    found = parse_echo_log(LOG, "echo-v1")

    assert not found.unreadable
    (one,) = found.requests
    assert (one.backend, one.method, one.path, one.status) == ("echo-v1", "GET", "/a/b?status=503&header=x-y:z", 503)
    assert (one.user_agent, one.host, one.headers) == ("fortio.org/fortio-dev", "127.0.0.1:8080", {"x-a": "b,c"})
    assert one.time == datetime.fromtimestamp(1795811782.948542, UTC)
    assert one.raw in LOG


def test_line_of_another_shape_is_unreadable() -> None:
    """A request's line that is cut or lacks a field is counted: what the log does not say is not known."""
    whole = next(line for line in LOG.splitlines() if '"Echo"' in line)

    found = parse_echo_log("\n".join([whole[:-5], whole.replace('"status":503,', ""), whole]), "echo-v1")

    assert len(found.requests) == 1
    assert found.unreadable.count == 2
    assert not parse_echo_log("", "echo-v1").requests


def test_clients_of_the_tcp_and_udp_servers() -> None:
    """Who connected and who sent a datagram, since that time; other messages and broken lines are neither."""
    parts = [
        "TCP echo server (tcp-echo) accepted connection from 10.0.0.7:4000 -> 10.0.0.1:8078",
        "UDP echo server (udp-echo) read 5 from [::]:8078 -> 10.0.0.8:5000",
        "UDP echo server (udp-echo) echoed 5 bytes back to 10.0.0.8:5000 (err=<nil>)",
    ]
    lines = [f'{{"ts":{at}.5,"level":"trace","msg":"{one}"}}' for at in (10, 20) for one in parts]
    log = "\n".join([*lines, lines[0][:40], "[]", ""])

    assert tcp_clients(log, datetime.fromtimestamp(5, UTC)) == ["10.0.0.7"] * 2
    assert tcp_clients(log, datetime.fromtimestamp(15, UTC)) == ["10.0.0.7"]
    assert udp_clients(log, datetime.fromtimestamp(15, UTC)) == ["10.0.0.8"]
