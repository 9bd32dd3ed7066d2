"""The suite's log: results, skips, retries and waits of each test. Recordings are of kind, cut to some tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance.suite_log import parse, seconds, set_up_failure
from tests.recordings import text

OUTSIDE, INSIDE = text("conformance/outside/suite.log"), text("conformance/inside/suite.log")
MESH = text("conformance-mesh/suite.log")
BEGAN = "2026-11-28T00:20:09.420834+00:00"
RETRIED = """=== RUN   TestConformance
=== RUN   TestConformance/BackendTLSPolicy
=== RUN   TestConformance/BackendTLSPolicy/first
    http.go:159: 2026-11-28T00:10:00Z: Making GET request to host a via https://10.0.0.1/
    http.go:276: 2026-11-28T00:10:01Z: Response expectation failed for request: {}  not ready yet: got 400 (after 1s)
    http.go:276: 2026-11-28T00:10:14Z: Response expectation failed for request: {}  not ready yet: got 503 (after 14s)
    http.go:282: 2026-11-28T00:10:15.5Z: Request passed
    http.go:159: 2026-11-28T00:10:16Z: Making GET request to host a via https://10.0.0.1/
    http.go:271: 2026-11-28T00:10:17Z: Request failed, not ready yet: EOF (after 1s)
    http.go:282: 2026-11-28T00:10:18Z: Request passed
=== RUN   TestConformance/HTTPRouteWeight
    http.go:159: 2026-11-28T00:11:00Z: Making GET request to host a via http://10.0.0.1/
    weight.go:90: 2026-11-28T00:11:31Z: timeout while waiting
        after 31 attempts
=== RUN   TestConformance/GRPCRouteWeight
--- FAIL: TestConformance (90.00s)
    --- PASS: TestConformance/BackendTLSPolicy (18.10s)
        --- PASS: TestConformance/BackendTLSPolicy/first (18.00s)
    --- FAIL: TestConformance/HTTPRouteWeight (31.00s)
"""


def test_false_pass_has_its_answer() -> None:
    """UDPRoute passes both ways; its DNS answer is kept, by which the two differ."""
    outside, inside = (next(one for one in parse(log) if one.name == "UDPRoute") for log in (OUTSIDE, INSIDE))

    assert (outside.result, inside.result) == ("passed", "passed")
    assert "_udp.foo.bar.com.\t0\tIN\tSRV" in outside.answers[0]
    assert "status: NXDOMAIN" in inside.answers[0]
    assert inside.retries == 10
    assert 11.0 <= inside.waited < 11.1
    assert 12.0 < inside.seconds < 13.0
    assert "connection refused" in inside.seen
    assert inside.began is not None
    assert inside.began.isoformat() == BEGAN


def test_wait_that_the_suite_hides() -> None:
    """A policy that is enforced 15 s after it is Accepted passes; the longest wait and its last reason are kept."""
    (policy,) = (one for one in parse(OUTSIDE) if one.name == "BackendTLSPolicySANValidation")

    assert policy.result == "passed"
    assert 15.0 < policy.waited < 15.2
    assert policy.seen.startswith("expected status code to be one of [200], got 400.")


def test_skip_has_its_reason() -> None:
    """The suite's own words."""
    mesh = next(one for one in parse(OUTSIDE) if one.name == "MeshBasic")

    assert (mesh.result, mesh.why) == ("skipped", "suite does not support Mesh")


def test_retries_failures_and_an_end_in_the_middle() -> None:
    """The longest wait of one request counts, not their sum; a failure has its last message; one without a result is
    unfinished."""
    retried, failed, unfinished = parse(RETRIED)

    assert (retried.result, retried.retries, retried.waited) == ("passed", 3, 15.5)
    assert retried.seen == "EOF"
    assert retried.sends_traffic
    assert (failed.result, failed.why) == ("failed", "timeout while waiting after 31 attempts")
    assert (unfinished.name, unfinished.result) == ("GRPCRouteWeight", "unfinished")


def test_pass_by_chance() -> None:
    """Behind a waypoint that does not serve the suite's route, answers alternate until three in a row are right; a test
    that gave up has failed, though the log ends before its result."""
    gave_up, by_chance = parse(MESH)

    assert (gave_up.name, gave_up.result) == ("MeshGRPCRouteWeight", "failed")
    assert gave_up.why == "timeout while waiting after 27 attempts, 0/3 successes"
    assert gave_up.seen == "command terminated with exit code 1"
    assert (by_chance.name, by_chance.result) == ("MeshHTTPRouteNamedRule", "unfinished")
    assert (by_chance.retries, by_chance.relapses) == (12, 9)
    assert {one.relapses for log in (OUTSIDE, INSIDE, RETRIED) for one in parse(log)} == {0}


def test_set_up_that_failed() -> None:
    """Without a single test the suite's last message says why; with tests it is they who say it."""
    failed = (
        "=== RUN   TestConformance\n    conformance.go:120: \n        \tError: detected CRDs with partial versions\n"
        "--- FAIL: TestConformance (0.10s)\nFAIL\n"
    )

    assert set_up_failure(failed) == "Error: detected CRDs with partial versions"
    assert set_up_failure(RETRIED) == ""
    assert set_up_failure(OUTSIDE) == ""


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("1m2.5s", 62.5),
        ("14.003s", 14.003),
        ("930ms", 0.93),
        ("12µs", 12e-6),
        ("0s", 0.0),
        ("1h0m0s", 3600.0),
        ("", 0.0),
    ],
)
def test_durations_of_go(duration: str, expected: float) -> None:
    """As Go prints them."""
    assert seconds(duration) == pytest.approx(expected)


@given(st.text(alphabet="=-RUN/:. \n\tTestConformance0123456789Zgo()", max_size=200), st.integers(0, len(INSIDE)))
def test_any_text_is_read(noise: str, cut: int) -> None:
    """A log that was cut anywhere, or is none, raises nothing; what was complete before the cut is there."""
    parse(noise)
    set_up_failure(noise)
    names = [one.name for one in parse(INSIDE[: INSIDE.rfind("\n", 0, cut) + 1])]

    assert names == [one.name for one in parse(INSIDE)][: len(names)]
