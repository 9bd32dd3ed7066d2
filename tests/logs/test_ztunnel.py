"""ztunnel's log, on recorded lines and on anything else."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.logs import ztunnel
from harness.logs.unreadable import UnreadableLines
from tests.recordings import text
from tests.recordings.shapes import fuzz

HEAD = "2026-11-21T00:37:46.058877Z\tinfo\taccess\tconnection complete\t"
NAMES = ["hbone_addr", "workload", "namespace", "identity", "service"]


def test_hbone_line_has_both_ends() -> None:
    """The caller of ratings, on its way to the waypoint."""
    line = ztunnel.parse_ztunnel_log(text("logs/ztunnel.log")).lines[0]

    assert line.time == datetime(2026, 11, 21, 0, 37, 46, 58877, tzinfo=UTC)
    assert (line.direction, line.bytes_sent, line.bytes_recv, line.duration_ms) == ("outbound", 125, 194, 8.0)
    assert line.src.identity == "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"
    assert line.src.ip == "10.244.0.17"
    assert (line.dst.addr, line.dst.hbone_addr) == ("10.244.0.31:15008", "10.96.133.192:9080")
    assert line.dst.service == "ratings.default.svc.cluster.local"
    assert line.is_hbone
    assert line.is_ok
    assert line.raw.startswith("2026-11-21T00:37:46.058877Z\tinfo\taccess")


@pytest.mark.parametrize("name", ["logs/ztunnel.log", "variants/ztunnel-two-nodes.log", "port-15008-clash/ztunnel.log"])
def test_every_recorded_access_line_is_read(name: str) -> None:
    """No line that says access is lost, and no other line is taken for one."""
    parsed = ztunnel.parse_ztunnel_log(text(name))

    assert len(parsed.lines) == text(name).count("\taccess\t") > 0
    assert not parsed.unreadable
    assert parsed.skipped == len([row for row in text(name).split("\n") if row.strip()]) - len(parsed.lines)


def test_failed_lines_carry_the_error() -> None:
    """The port clash: HBONE was tried, with the waypoint's identity wanted, and the peer hung up."""
    failed = [line for line in ztunnel.parse_ztunnel_log(text("port-15008-clash/ztunnel.log")).lines if not line.is_ok]

    assert {line.error for line in failed} == {
        "io error: tls handshake eof",
        "io error: Connection reset by peer (os error 104)",
    }
    assert all(line.is_hbone and line.bytes_recv == 0 and line.level == "error" for line in failed)


def test_refused_connection_has_no_duration() -> None:
    """ztunnel found no endpoint: a warning without bytes, and without a tunnel."""
    lines = ztunnel.parse_ztunnel_log(text("variants/ztunnel-two-nodes.log")).lines
    line = next(line for line in lines if line.message == "connection failed")

    assert (line.level, line.duration_ms, line.bytes_sent) == ("warn", None, 0)
    assert line.error == "no healthy upstream: 10.96.56.254:8081"
    assert line.opened == line.time
    assert not line.is_hbone
    assert not line.is_ok


def test_plaintext_to_a_pod_outside_the_mesh_is_no_hbone() -> None:
    """The ingress asks the rate-limit service past the mesh: fine, and not HBONE."""
    lines = ztunnel.parse_ztunnel_log(text("variants/ztunnel-two-nodes.log")).lines
    line = next(line for line in lines if line.dst.addr == "10.244.1.13:8081")

    assert line.is_ok
    assert not line.is_hbone
    assert line.src.identity is None


def test_empty_text_has_no_lines() -> None:
    """Nothing written is nothing seen."""
    assert ztunnel.parse_ztunnel_log("") == ztunnel.ParsedZtunnelLog((), 0)
    assert ztunnel.parse_bind_failures("") == ()
    assert ztunnel.parse_ztunnel_line("") is None


def test_opened_lines_are_skipped() -> None:
    """At debug level the same connection has a second line, which is not an outcome."""
    parsed = ztunnel.parse_ztunnel_log(
        HEAD.replace("complete", "opened") + 'src.addr=1.2.3.4:5 dst.addr=1.2.3.4:6 direction="outbound"'
    )

    assert parsed == ztunnel.ParsedZtunnelLog((), 1)


def test_half_a_line_is_counted() -> None:
    """A log cut in the middle of a line is no proof that something was not there."""
    whole = ztunnel.parse_ztunnel_log(text("logs/ztunnel.log")).lines[0].raw

    for half in (
        whole[: whole.index("direction")],
        HEAD + "src.addr=",
        '{"scope": "access", "message": "connection complete"}',
        whole.replace("\t", "  "),  # another format
    ):
        assert ztunnel.parse_ztunnel_log(half) == ztunnel.ParsedZtunnelLog((), 0, UnreadableLines.of([half]))


def test_time_without_a_zone_is_not_read() -> None:
    """A naive time could not be compared with Envoy's."""
    whole = ztunnel.parse_ztunnel_log(text("logs/ztunnel.log")).lines[0].raw

    assert ztunnel.parse_ztunnel_line(whole.replace("058877Z", "058877")) is None


def test_bind_failures_of_the_port_clash() -> None:
    """ztunnel tries again every 5 s and names the pod by its uid."""
    failures = ztunnel.parse_bind_failures(text("eg-1.9.0/ztunnel-port-15008-clash.log"))

    assert len(failures) >= 3
    assert {(f.address, f.text, f.uid) for f in failures} == {
        ("[::]:15008", "Address already in use (os error 98)", "84d9eb35-7dfd-4c4c-b840-4907573dc07a")
    }
    assert (failures[1].time - failures[0].time).total_seconds() == pytest.approx(5, abs=0.1)


def test_healthy_log_has_no_bind_failures() -> None:
    """The configuration in the log is about bind_addr, which is no failure."""
    assert ztunnel.parse_bind_failures(text("logs/ztunnel.log")) == ()


def test_bind_failure_in_json() -> None:
    """The JSON form holds the same words in its message."""
    raw = {
        "time": "2026-11-21T01:21:56.446033Z",
        "message": "retrying workload failed: failed to bind to address [::]:15008: Address already in use",
        "uid": "84d9",
    }

    (failure,) = ztunnel.parse_bind_failures(json.dumps(raw))

    assert (failure.address, failure.text, failure.uid) == ("[::]:15008", "Address already in use", "84d9")


words = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


def quoted(value: str) -> str:
    """Rust's Debug form, as far as ztunnel's values need it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\r", "\\r")
    return f'"{escaped}"'


@fuzz
@given(
    ends=st.dictionaries(st.sampled_from([f"{s}.{n}" for s in ("src", "dst") for n in NAMES]), words),
    counts=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63), st.integers(0, 10**9)),
    error=st.none() | words,
)
def test_both_formats_say_the_same(ends: dict[str, str], counts: tuple[int, int, int], error: str | None) -> None:
    """Whatever the fields hold, the plain and the JSON form of a connection are read to the same value."""
    sent, received, took = counts
    strings = {**ends, "direction": "outbound", "duration": f"{took}ms"} | ({} if error is None else {"error": error})
    bare = {"src.addr": "10.244.0.17:33230", "dst.addr": "[::1]:15008"}
    plain = HEAD + " ".join(
        [f"{key}={value}" for key, value in bare.items()]
        + [f"bytes_sent={sent} bytes_recv={received}"]
        + [f"{key}={quoted(value)}" for key, value in strings.items()]
    )
    head = {"time": "2026-11-21T00:37:46.058877Z", "level": "info", "scope": "access", "message": "connection complete"}
    as_json = json.dumps({**head, **bare, **strings, "bytes_sent": sent, "bytes_recv": received})

    first, second = ztunnel.parse_ztunnel_line(plain), ztunnel.parse_ztunnel_line(as_json)

    assert first is not None
    assert second is not None
    assert (first.src, first.dst, first.error) == (second.src, second.dst, second.error)
    assert (first.bytes_sent, first.bytes_recv, first.duration_ms) == (sent, received, float(took))
    assert (first.time, first.level, first.direction) == (second.time, second.level, second.direction)
    assert first.error == error
    assert first.dst.ip == "::1"


@fuzz
@given(
    st.text()
    | st.builds(HEAD.__add__, st.text())
    | st.builds('{{"scope":"access","message":"connection complete",{}}}'.format, st.text())
    | st.builds("2026-11-21T00:37:46Z\tinfo\tx\tfailed to bind to address {}".format, st.text())
)
def test_any_text_can_be_read(anything: str) -> None:
    """Garbage is counted, never raised."""
    parsed = ztunnel.parse_ztunnel_log(anything)
    ztunnel.parse_bind_failures(anything)

    assert len(parsed.lines) + parsed.skipped + parsed.unreadable.count == len(
        [r for r in anything.split("\n") if r.strip()]
    )
