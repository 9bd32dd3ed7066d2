"""A request whose connection is open still, from ztunnel's list of connections, as recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.errors import Inconclusive
from harness.evidence.hops import Journey, Pod
from harness.evidence.journey import join_journey, journey_as_text, source_accounts
from harness.evidence.open_connections import lines_of_open_connections
from harness.experiments.journey_collector import HopRecords, JourneyCollector
from harness.http_exchange import Answer, Answers
from harness.kube import ApiUnavailable
from harness.logs import envoy_access, ztunnel
from harness.logs.ztunnel import ZtunnelLine
from harness.proxy.ztunnel_dump import open_connections
from tests.recordings import dump, text

ID = "rq-open000001"
READ = datetime(2026, 11, 27, 21, 24, 46, tzinfo=UTC)  # when the list was read
DUMP = dump("open-connection/config_dump.json")
OPEN = lines_of_open_connections(open_connections(DUMP), READ)
LINES = ztunnel.parse_ztunnel_log(text("open-connection/ztunnel.log")).lines
CLOSED_THEN = [line for line in LINES if line.time < READ]  # the client's connection closed 3 minutes later
(ACCESS,) = envoy_access.parse_access_log(text("open-connection/waypoint-envoy.log")).lines
PODS = {
    "10.244.1.9": Pod("default/mesh-client-86f5dc69b5-spj9m", "worker"),
    "10.244.1.24": Pod("default/waypoint-6f9dd744b5-nr6wn", "worker"),
    "10.244.1.23": Pod("default/ratings-v1-65ddf8cf49-8k78l", "worker"),
}


def journey(*lines: ZtunnelLine) -> Journey:
    return join_journey(ID, (), [ACCESS], lines, PODS, via=("waypoint",))


def test_list_has_both_ends_of_the_connection() -> None:
    """The client's, to the waypoint's port 15008; the waypoint's, over HBONE; and a plain one to Envoy Gateway."""
    found = {
        (one.direction, one.workload.split("-")[0], one.protocol, one.actual_dst) for one in open_connections(DUMP)
    }

    assert found == {
        ("outbound", "mesh", "HBONE", "10.244.1.24:15008"),
        ("inbound", "waypoint", "HBONE", "10.244.1.24:9080"),
        ("outbound", "waypoint", "TCP", "10.244.1.17:18000"),
    }


def test_open_connection_completes_a_journey() -> None:
    """Without it a hop is missing; the other leg has its lines already."""
    assert journey(*CLOSED_THEN).verdict.outcome == "inconclusive"

    found = journey(*CLOSED_THEN, *OPEN)

    assert found.verdict.outcome == "held", journey_as_text(found)
    assert [(hop.protocol, hop.status) for hop in found.hops if "ztunnel" in hop.kind] == [
        ("HBONE", "open"),
        ("HBONE", "open"),
        ("HBONE", "ok"),
        ("HBONE", "ok"),
    ]


def test_line_counts_more_than_the_list() -> None:
    """Of a connection that has closed, and of one that another connection between the same pods outlives."""
    assert journey(*LINES, *OPEN) == journey(*LINES)


def test_open_connection_in_plain_text_breaks_the_claim() -> None:
    plain = [replace(line, dst=replace(line.dst, hbone_addr=None)) for line in OPEN]

    assert journey(*CLOSED_THEN, *plain).verdict.outcome == "broken"


def test_identity_of_an_open_connections_client_is_not_known_to_its_callee() -> None:
    """Nobody claims it: the list does not have it."""
    with pytest.raises(Inconclusive, match="the connection to default/waypoint-6f9dd744b5-nr6wn is open"):
        source_accounts(journey(*CLOSED_THEN, *OPEN))

    assert source_accounts(journey(*LINES), "ztunnel-in") == (("waypoint", "mesh-client"), ("ratings-v1", "waypoint"))


def test_backend_connection_is_found_by_its_port_alone() -> None:
    """Another open one of that Envoy to the same pod carried other requests."""
    (out,) = (line for line in OPEN if line.direction == "outbound" and line.is_hbone)
    other = replace(out, src=replace(out.src, addr="10.244.1.24:1"), dst=replace(out.dst, addr="10.244.1.23:15008"))
    mine = replace(other, src=replace(out.src, addr=ACCESS.upstream_local_address or ""))

    assert "waypoint 10.244.1.24:36346" in str(journey(*OPEN, other).missing)
    assert "outbound line of waypoint" not in str(journey(*OPEN, mine).missing)


class Recorded:
    """ztunnels whose log has no line of the client's connection, and whose lists (an error: no answer) have it."""

    def __init__(self, standing: list[ZtunnelLine] | Exception) -> None:
        self.standing = standing

    def read_open_connections(self) -> list[ZtunnelLine]:
        if isinstance(self.standing, Exception):
            raise self.standing
        return self.standing


class Collector(JourneyCollector):
    def read_records(self, since: datetime) -> HopRecords:
        return HopRecords((), (ACCESS,), tuple(sorted(CLOSED_THEN, key=lambda line: line.opened)), ())


def test_list_is_asked_when_the_wait_has_run_out() -> None:
    """If it does not answer, what is missing stays missing."""
    answers = Answers((Answer(ID, 200, {}, 8.0),))

    def follow(standing: list[ZtunnelLine] | Exception) -> tuple[Journey, ...]:
        collector = Collector(None, Recorded(standing), None, None)  # type: ignore[arg-type]  # stand-ins
        since = READ - timedelta(seconds=10)
        return collector.wait_for_journeys(answers, since, via=lambda _: ("waypoint",), within=0.01)

    (found,) = follow(OPEN)
    assert found.verdict.held, journey_as_text(found)
    with pytest.raises(Inconclusive, match="1 of 1 journeys are not complete"):
        follow(ApiUnavailable("no answer"))
