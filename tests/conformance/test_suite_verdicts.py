"""Our verdicts: who answered, whether a backend received it, whether the mesh was in the path, outside and inside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.conformance.command import judge_folder, text
from harness.conformance.suite_log import SuiteTest
from harness.conformance.suite_verdicts import Judged, MeshPath, differences, judge, requests, skips
from tests.recordings import HERE

AT = datetime(2026, 11, 28, 0, 10, tzinfo=UTC)
PASSED = SuiteTest("HTTPRouteWeight", "passed", 2.0, sends_traffic=True, began=AT, ended=AT + timedelta(seconds=2))
WHOAMI = """;; opcode: QUERY, status: NOERROR, id: 1
;; ADDITIONAL SECTION:
foo.bar.com.\t0\tIN\tA\t10.244.1.9
_udp.foo.bar.com.\t0\tIN\tSRV\t0 0 44912 ."""
STRANGER = """;; opcode: QUERY, status: NXDOMAIN, id: 1
;; AUTHORITY SECTION:
.\t30\tIN\tSOA\ta.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400"""
REPORT = "profiles:\n- name: GATEWAY-HTTP\n  core: {failedTests: [HTTPRouteWeight]}\n  extended: {}\n"
BY_CHANCE = "passed, but 9 wrong answers came after right ones to the same request: by chance?"
IN, OUT = MeshPath(pods=9, enrolled=9, hbone=40, plain=0), MeshPath(pods=9, enrolled=0, hbone=0, plain=0)


def run(*tests: SuiteTest, meshed: bool = True, path: MeshPath = IN, report: str = "profiles: []", count: int = 1,
        twin: Judged | None = None) -> Judged:  # fmt: skip
    """A run of these tests, whose backends logged `count` requests in the first second."""
    received = [AT + timedelta(milliseconds=n) for n in range(count)]
    return judge("inside" if meshed else "outside", tests, report, received, path, meshed=meshed, twin=twin)


def test_backends_own_answer_holds_and_another_is_broken() -> None:
    """A DNS answer without the record that only the backend writes is a false pass, and says what it was."""
    udp = replace(PASSED, name="UDPRoute")
    good, false = run(replace(udp, answers=(WHOAMI,))), run(replace(udp, answers=(STRANGER,)))

    assert good.verdicts[0].outcome == "held"
    assert good.held
    assert false.verdicts[0].outcome == "broken"
    assert "the backend did not answer: NXDOMAIN, . 30 IN SOA" in false.verdicts[0].why
    assert not false.held


@pytest.mark.parametrize(
    ("test", "outcome", "why"),
    [
        (PASSED, "held", ""),
        (replace(PASSED, result="failed", why="timeout"), "broken", "timeout"),
        (replace(PASSED, result="failed", why="timeout", seen="got 200"), "broken", "timeout; last seen: got 200"),
        (replace(PASSED, relapses=9, retries=12), "inconclusive", BY_CHANCE),
        (
            replace(PASSED, result="skipped", why="suite does not support Mesh"),
            "skipped",
            "suite does not support Mesh",
        ),
        (replace(PASSED, result="unfinished"), "inconclusive", "the suite ended before the test did"),
    ],
)
def test_results_of_the_suite(test: SuiteTest, outcome: str, why: str) -> None:
    """Each result with the suite's reason; one without a result is inconclusive."""
    (verdict,) = run(test).verdicts

    assert (verdict.outcome, verdict.why) == (outcome, why)


def test_pass_that_no_backend_received() -> None:
    """Backends that logged requests outside and none inside leave the pass inconclusive; a request is counted once."""
    outside = run(PASSED, meshed=False, path=OUT, count=3)
    (inside,) = run(PASSED, twin=outside, count=0).verdicts
    (received,) = run(PASSED, twin=outside, count=2).verdicts

    assert outside.verdicts[0].received == 3
    assert (inside.outcome, received.outcome) == ("inconclusive", "held")
    assert "outside the mesh they logged 3" in inside.why


def test_mesh_must_be_where_it_is_said_to_be() -> None:
    """Inside without an HBONE connection, or outside with one, the run does not count."""
    absent, plain = run(PASSED, path=OUT), run(PASSED, path=replace(IN, hbone=0))
    present = run(PASSED, meshed=False, path=IN)

    assert (absent.held, plain.held, present.held) == (False, False, False)
    assert absent.remarks == ("the mesh was not in the path: no pod of the suite is enrolled",)
    assert "backends logged 1 requests, ztunnel no HBONE connection" in plain.remarks[0]
    assert run(PASSED, path=replace(IN, hbone=0), count=0).remarks == ()
    assert present.remarks == ("the mesh was in the path: 40 HBONE connections, 9 pods enrolled",)
    assert run(PASSED, meshed=False, path=OUT).held
    assert not run(PASSED, meshed=False, path=replace(OUT, hbone=1)).held
    assert not run(PASSED, meshed=False, path=replace(OUT, enrolled=1)).held


def test_waypoint_must_be_reached() -> None:
    """With a waypoint that no connection reached, the run does not count."""
    past, through = (
        judge("mesh", [PASSED], "profiles: []", [AT], replace(IN, waypoint=count), meshed=True, waypoint=True)
        for count in (0, 3)
    )

    assert past.remarks == ("no connection reached the waypoint, by ztunnel's lines",)
    assert through.held


@pytest.mark.parametrize(
    ("report", "remark"),
    [
        ("", "left no report"),
        ("a: [", "cannot be read"),
        ("profiles: 3", "cannot be read"),
        (REPORT, "HTTPRouteWeight"),
    ],
)
def test_report_and_log_must_agree(report: str, remark: str) -> None:
    """A report that is missing, unreadable, or names a failure that the log does not have."""
    found = run(PASSED, report=report)

    assert remark in " ".join(found.remarks)
    assert not found.held
    assert run(replace(PASSED, result="failed"), report=REPORT).remarks == ()


def test_nothing_passes_empty() -> None:
    """A run without a test, or with skipped ones alone, does not hold."""
    assert run().remarks == ("no test ran",)
    assert not run(replace(PASSED, result="skipped")).held


def test_differences_and_skips() -> None:
    """Another outcome, or a wait that is 5 s longer, is named; skipped tests are grouped by reason."""
    slow, failed = replace(PASSED, name="A", waited=14.9), replace(PASSED, name="B", result="failed")
    outside = run(replace(slow, waited=1.0), replace(failed, result="passed"), PASSED, meshed=False, path=OUT)
    inside = run(slow, failed, PASSED)
    skipped = run(*(replace(PASSED, name=name, result="skipped", why="no Mesh") for name in "CD"))

    assert differences(outside, inside) == ["A: waited outside 1.0 s, inside 14.9 s", "B: outside held, inside broken"]
    assert skips(skipped.verdicts) == {"no Mesh": ["C", "D"]}


def test_requests_of_backends() -> None:
    """The line of each request of echo-basic and echo-advanced, behind the time of kubectl; other lines are none."""
    log = (
        "gateway-conformance-infra/v1-x 2026-11-28T00:10:00.123456789Z Echoing back request made to / to client (1:2)\n"
        "gateway-conformance-infra/v1-x 2026-11-28T00:10:00.2Z Starting server, listening on port 3000 (http)\n"
        "gateway-conformance-infra/grpc-x 2026-11-28T00:10:01Z Received over plaintext: \n"
        "gateway-conformance-mesh/echo-x 2026-11-28T00:10:02Z 2026-11-28T00:10:02Z\tinfo\tHTTP/1.1 Request\turl=/\n"
        "gateway-conformance-mesh/echo-x 2026-11-28T00:10:02Z 2026-11-28T00:10:02Z\tinfo\tHTTP/1.1 Response\tcode=200\n"
        "gateway-conformance-infra/v1-x 2026-99-28T00:10:00.2Z Echoing back request made to / to client (1:2)\n"
    )

    assert requests(log) == [AT.replace(microsecond=123456), AT.replace(second=1), AT.replace(second=2)]


def test_real_runs() -> None:
    """Recordings of kind, cut to some tests: 15 s of waiting both ways, one false pass, and the mesh in the path inside
    alone."""
    outside, inside = judge_folder(HERE / "conformance")
    shown = text([outside, inside])

    assert (outside.held, inside.held) == (True, False)
    assert (outside.results["passed"], inside.results["passed"]) == (4, 4)
    assert (outside.path, inside.path) == (MeshPath(25, 0, 0, 0), MeshPath(25, 25, 2, 0))
    assert "broken UDPRoute: passed, but the backend did not answer: NXDOMAIN" in shown
    assert "15.1 s  BackendTLSPolicySANValidation" in shown
    assert "suite does not support GatewayStaticAddresses (1): GatewayStaticAddresses" in shown
    assert "UDPRoute: outside held, inside broken" in shown
    assert {one.received > 0 for one in inside.verdicts if one.outcome == "held"} == {True}
