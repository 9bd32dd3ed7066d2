"""A burst and both its witnesses."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from harness import observations
from harness.errors import Inconclusive
from harness.experiments.burst import Arm, send_burst
from harness.experiments.bypass import send_past_and_through
from harness.http_exchange import Answer, Answers, get

COUNTER = "cluster.httproute/default/ratings/rule/0.upstream_rq_pending_overflow"


class Client:
    """Answers everything with 503; by itself, a pod's address with 200."""

    def send_in_turn(self, request: Any) -> Answers:
        status = 200 if "10.0.0.1" in request.url else 503
        return Answers((Answer(f"rq-{status}", status, {}, 1),))

    def send_together(self, request: Any, times: int) -> Answers:
        return Answers(tuple(Answer(f"rq-{n}", 503, {}, 1) for n in range(times)))


class Envoy:
    """Counts by what it is reported, and has a line for each answer, or none."""

    gateway = "waypoint"

    def __init__(self, *counts: int | None, lines: bool = True, silent: bool = True) -> None:
        self._counts, self._lines, self._silent = list(counts), lines, silent
        self.since: list[datetime] = []
        self.pods: list[str] = []

    def read_stats(self) -> dict[str, dict[str, int]]:
        now = self._counts.pop(0)
        name = self.pods.pop(0) if self.pods else "wp-1"
        return {name: {} if now is None else {COUNTER: now, "other": 9}}

    def wait_for_lines(self, answers: Answers, since: datetime) -> list[Any]:
        self.since.append(since)
        if not self._lines:
            raise Inconclusive("no lines")
        return [f"line of {id_}" for id_ in answers.ids]

    def has_no_line_of(self, answers: Answers, since: datetime) -> bool:
        assert answers.ids == ["rq-200"]
        return self._silent


def run(envoy: Envoy, size: int = 3) -> Any:
    return send_burst(Client(), envoy, get("http://ratings/"), size, "httproute/default/ratings/rule/0")  # type: ignore[arg-type]  # stand-ins


def test_arm_has_answers_lines_and_the_counters_movement() -> None:
    """Lines are in the order of answers, the counter is what it moved by, from before the first request."""
    before = datetime.now(UTC)
    envoy = Envoy(10, 13)

    arm = run(envoy)

    assert arm.answers.statuses == [503] * 3
    assert list(arm.lines) == ["line of rq-0", "line of rq-1", "line of rq-2"]
    assert arm.overflow == 3
    assert before <= envoy.since[0] <= datetime.now(UTC)
    assert observations.page().sightings[-1].what == "upstream_rq_pending_overflow moved by 3"


def test_counter_that_did_not_move_is_nothing() -> None:
    """A counter that stands still moved by nothing."""
    assert run(Envoy(7, 7)).overflow == 0


def test_counter_that_is_not_there_is_not_zero() -> None:
    """A missing counter is no counter at 0."""
    with pytest.raises(Inconclusive, match="upstream_rq_pending_overflow is not among"):
        run(Envoy(None, None))


def test_proxy_that_restarted_is_not_believed() -> None:
    """A counter that fell was started again: its movement is not known."""
    with pytest.raises(Inconclusive, match=r"fell by {.wp-1.: 10}: a proxy .* was restarted meanwhile"):
        run(Envoy(13, 3))


def test_replica_that_was_replaced_is_not_believed() -> None:
    """Its counter went with it; the new one's is of other requests."""
    envoy = Envoy(3, 3)
    envoy.pods = ["wp-1", "wp-2"]

    with pytest.raises(Inconclusive, match="wp-1 is gone, wp-2 is new"):
        run(envoy)


def test_missing_line_is_unjudged() -> None:
    """What the proxy did with a request without a line is not known."""
    with pytest.raises(Inconclusive):
        run(Envoy(0, 0, lines=False))


def past(envoy: Envoy) -> Any:
    return send_past_and_through(Client(), envoy, get("http://10.0.0.1/"), get("http://ratings/"))  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("silent", [True, False])
def test_bypass_is_what_the_proxy_does_not_tell_of(silent: bool) -> None:
    """The call past the proxy is answered by whom it called, and the proxy's log is asked about that one."""
    found = past(Envoy(silent=silent))

    assert (found.past.statuses, found.through.statuses, found.unseen) == ([200], [503], silent)


def test_silence_of_a_lost_log_is_no_bypass() -> None:
    """Where the call through the proxy has no line either, its silence says nothing."""
    with pytest.raises(Inconclusive):
        past(Envoy(lines=False))


def test_times_of_the_proxy_and_of_the_machine_are_reported_apart() -> None:
    """Each response's time less the proxy's own for that very request: not the difference of the two slowest."""
    answers = Answers((Answer("rq-0", 503, {}, 900), Answer("rq-1", 503, {}, 1000)))
    lines: Any = (SimpleNamespace(duration_ms=100), SimpleNamespace(duration_ms=950))

    arm = Arm(answers, lines, 2)

    assert (arm.slowest_in_proxy_ms, arm.slowest_besides_proxy_ms) == (950, 800)
