"""Envoy's access log, on recorded lines and on anything else."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.logs import envoy_access, envoy_xds_rejects
from tests.recordings import text
from tests.recordings.shapes import fuzz, keyed


def only(name: str) -> envoy_access.AccessLine:
    """The one line of a recording."""
    (line,) = envoy_access.parse_access_log(text(name)).lines
    return line


def test_answered_request_has_its_upstream() -> None:
    """A call that the waypoint passed on to ratings."""
    line = only("logs/access-waypoint-200.json")

    assert (line.method, line.path, line.authority) == ("GET", "/ratings/0", "ratings:9080")
    assert (line.status, line.flags, line.details, line.duration_ms) == (200, "-", "via_upstream", 1)
    assert line.start_time == datetime(2026, 11, 21, 0, 34, 40, 839000, tzinfo=UTC)
    assert (line.end_time - line.start_time).total_seconds() == 0.001
    assert line.request_id == "34b5d8f9-d0e8-456a-9ece-a6fb39becb72"
    assert line.user_agent == "curl/7.88.1"
    assert line.route_name == "httproute/default/ratings/rule/0/match/0/ratings"
    assert line.upstream_cluster == "httproute/default/ratings/rule/0"
    assert (line.upstream_host, line.upstream_local_address) == ("10.244.0.13:9080", "10.244.0.28:56444")
    assert (line.client_ip, line.proxy_ip) == ("10.244.0.16", "10.244.0.28")
    assert line.raw["x-forwarded-for"] == "10.244.0.16"


@pytest.mark.parametrize(
    ("name", "status", "flags", "details"),
    [
        ("logs/access-429.json", 429, "RL", "request_rate_limited"),
        ("logs/access-503.json", 503, "UO", "upstream_reset_before_response_started{overflow}"),
    ],
)
def test_envoys_own_answer_has_no_upstream(name: str, status: int, flags: str, details: str) -> None:
    """Limited and overflowed requests never left Envoy."""
    line = only(name)

    assert (line.status, line.flags, line.details) == (status, flags, details)
    assert line.upstream_host is None
    assert line.upstream_local_address is None


def test_connections_that_are_no_requests_have_no_method() -> None:
    """Envoy on ztunnel's port: EmptyCluster with UH in Envoy 1.37, no cluster with NC in 1.39; status 0 in both."""
    clash = envoy_access.parse_access_log(text("port-15008-clash/waypoint-envoy.log")).lines
    later = envoy_access.parse_access_log(text("eg-1.9.0/waypoint-envoy.log")).lines

    assert {(c.method, c.status, c.flags, c.upstream_cluster) for c in clash} == {(None, 0, "UH", "EmptyCluster")}
    assert {(c.method, c.status, c.flags, c.upstream_cluster) for c in later} == {(None, 0, "NC", None)}
    assert {c.downstream_local_address for c in (*clash, *later)} == {"10.244.0.27:15008", "10.244.1.17:15008"}


@pytest.mark.parametrize("name", ["logs/waypoint-envoy.log", "logs/ingress-envoy.log", "variants/waypoint2-envoy.log"])
def test_envoys_other_lines_are_skipped(name: str) -> None:
    """Every access line is read, and none of Envoy's own messages."""
    assert len(envoy_access.parse_access_log(text(name)).lines) == text(name).count('{":authority"') > 0
    assert not envoy_access.parse_access_log(text(name)).unreadable
    assert not envoy_xds_rejects.find_unreadable_lines(text(name))


@pytest.mark.parametrize("count", [1, 12])
def test_lines_of_another_format_are_counted(count: int) -> None:
    """Half a line, JSON with other keys, and Envoy's text format are no requests, and no silence either."""
    other = ["{", '{"startTime": "x"}', '[2026-11-21T00:33:05.283Z] "GET / HTTP/1.1" 200 - 0'] * 4

    parsed = envoy_access.parse_access_log("\n".join(["[2026-11-21 00:33:05.283][1][info] ready", *other[:count]]))

    assert (parsed.lines, parsed.unreadable.count, parsed.unreadable.sample) == ((), count, "{")
    lines = "1 line" if count == 1 else "12 lines"
    assert str(parsed.unreadable).startswith(f"{lines} of this log could not be read: has its format changed?")


@pytest.mark.parametrize(
    "nothing", ["", "\n", "[2026-11-21 00:33:05.283][1][info] ready", "{", "{}", "[]", '{"start_time":1}']
)
def test_no_access_line_gives_none(nothing: str) -> None:
    """Empty, other and half lines are no requests."""
    assert envoy_access.parse_access_log(nothing).lines == ()


@pytest.mark.parametrize("key", ["start_time", "response_code", "response_flags"])
def test_line_that_lacks_what_is_judged_is_not_read(key: str) -> None:
    """A status or a flag that does not exist is counted as unreadable: it is not taken for another one."""
    found = json.loads(text("logs/access-429.json"))
    del found[key]

    parsed = envoy_access.parse_access_log(json.dumps(found))

    assert (parsed.lines, parsed.unreadable.count) == ((), 1)


def test_time_without_a_zone_is_not_read() -> None:
    """A naive time could not be compared with ztunnel's."""
    assert envoy_access.parse_access_log(text("logs/access-429.json").replace("359Z", "359")).lines == ()


@fuzz
@given(
    keyed("start_time", "response_code", "response_flags", "duration", "method", ":authority").map(json.dumps)
    | st.text()
)
def test_any_text_can_be_read(anything: str) -> None:
    """Garbage is skipped, never raised."""
    assert all(isinstance(line.status, int) for line in envoy_access.parse_access_log(anything).lines)


@fuzz
@given(st.integers(-(10**30), 10**30), st.datetimes(timezones=st.just(UTC)))
def test_any_duration_can_be_read(duration: int, start: datetime) -> None:
    """A duration past the end of time makes the line unreadable, not the reader."""
    raw = {"start_time": start.isoformat(), "response_code": 200, "response_flags": "-", "duration": duration}

    for line in envoy_access.parse_access_log(json.dumps(raw)).lines:
        assert line.end_time.tzinfo is not None
