"""Timelines: what is an outage, what coincides with it, and how a proxy's lines are joined. Planted: all that lies."""

import dataclasses
from datetime import UTC, datetime

import pytest

from harness.errors import Inconclusive
from harness.evidence.clock_offset import ClockOffset, of_moments
from harness.load import outage_budgets
from harness.load.timeline import Event, Sample, Timeline, join_flags, measure_offset
from harness.logs.envoy_access import AccessLine

START = 1_795_251_600.0


def flow(*statuses: int | None, events: tuple[Event, ...] = (), every: float = 0.05, ms: float = 2.0) -> Timeline:
    """A request every `every` seconds."""
    samples = [Sample(START + n * every, ms, status) for n, status in enumerate(statuses)]
    return Timeline.of("a client", samples, events)


def line(at: float, status: int = 200, flags: str = "-", ms: int = 1) -> AccessLine:
    return AccessLine(
        start_time=datetime.fromtimestamp(at, UTC),
        method="GET",
        path="/",
        authority="ratings",
        status=status,
        flags=flags,
        details=None,
        duration_ms=ms,
        request_id=None,
        user_agent="e2e/load-1",
        route_name=None,
        upstream_cluster=None,
        upstream_host=None,
        upstream_local_address=None,
        downstream_local_address="10.0.0.1:9080",
        downstream_remote_address="10.0.0.2:1",
        raw={},
    )


def test_flow_without_loss_has_no_outage() -> None:
    timeline = flow(200, 200, 200)

    assert (timeline.sent, timeline.lost, timeline.outages, timeline.outage_ms) == (3, (), (), 0)


def test_outage_lasts_until_the_next_served_request() -> None:
    """Three losses at 50 ms each: from the first's start to the start of the next that was served."""
    (outage,) = flow(200, None, 503, None, 200).outages

    assert outage.ms == pytest.approx(150, abs=0.1)
    assert (outage.lost, outage.closed) == (3, True)


def test_outage_that_never_ends_is_not_closed() -> None:
    """It lasts to the end of the last request, and says that it is not over."""
    (outage,) = flow(200, None, None, ms=3000).outages

    assert outage.ms == pytest.approx(3050, abs=0.1)
    assert not outage.closed


def test_two_outages_are_two() -> None:
    timeline = flow(None, 200, None, None, 200)

    assert [outage.lost for outage in timeline.outages] == [1, 2]
    assert timeline.outage_ms == pytest.approx(100, abs=0.1)


def test_order_is_that_of_time_not_of_writing() -> None:
    """fortio's threads write in turn: a loss written late is not an outage that was later."""
    samples = [Sample(START + 0.2, 1, 200), Sample(START, 1, None), Sample(START + 0.1, 1, 200)]

    timeline = Timeline.of("a client", samples)

    assert timeline.outages[0].ms == pytest.approx(100, abs=0.1)


def test_flags_are_of_those_served() -> None:
    """One that the proxy has no line of shows as an empty flag; a lost one shows in `lost` alone."""
    samples = [Sample(START, 1, 200, flags="-"), Sample(START + 1, 1, None), Sample(START + 2, 1, 200)]

    assert Timeline.of("a client", samples[:2]).flags == {"-"}
    assert Timeline.of("a client", samples).flags == {"-", ""}


def test_other_status_may_be_what_is_wanted() -> None:
    """For a caller that must be refused, a 200 is the loss."""
    samples = [Sample(START + n, 1, status) for n, status in enumerate((429, 200, 429))]

    timeline = Timeline.of("a spent caller", samples, wanted=(429,))

    assert [sample.status for sample in timeline.lost] == [200]


def test_flow_of_nothing_is_no_proof() -> None:
    with pytest.raises(Inconclusive, match="sent nothing"):
        Timeline.of("a client", [])


def test_time_without_requests_is_not_known() -> None:
    """After the load's end nothing was lost, because nothing was sent: that must not pass."""
    timeline = flow(200, 200, events=(Event("killed", START, START + 60),))

    with pytest.raises(Inconclusive, match="this period is unknown"):
        timeline.after("killed")


def test_event_must_have_been() -> None:
    with pytest.raises(Inconclusive, match="ztunnel killed"):
        flow(200, events=(Event("ztunnel killed", START, START + 1),)).during("istiod killed")


def test_before_during_after() -> None:
    timeline = flow(200, 200, None, None, 200, 200, events=(Event("killed", START + 0.09, START + 0.19),))

    assert [s.status for s in timeline.before().samples] == [200, 200]
    assert [s.status for s in timeline.during("killed").samples] == [None, None]
    assert [s.status for s in timeline.after("killed").samples] == [200, 200]
    assert [s.status for s in timeline.after("killed", settle=0.03).samples] == [200]


@pytest.mark.parametrize(("began", "named"), [(0.1, "killed"), (-5.0, "nothing known")])
def test_outage_is_not_blamed_on_what_was_long_over(began: float, named: str) -> None:
    timeline = flow(200, 200, None, 200, events=(Event("killed", START + began, START + began + 0.05),))

    assert timeline.describe_cause(timeline.outages[0]) == named


def test_lines_are_joined_by_time_and_status() -> None:
    timeline = join_flags(flow(200, 503, None), [line(START + 0.001), line(START + 0.051, 503, "UF")], "waypoint-1")

    assert [sample.flags for sample in timeline.samples] == ["-", "UF", ""]
    assert [sample.pod for sample in timeline.samples] == ["waypoint-1", "waypoint-1", ""]


def test_line_of_another_status_is_not_joined() -> None:
    """A proxy that wrote 200 says nothing of a request that got 503: somebody else answered that."""
    assert join_flags(flow(503), [line(START)], "w").samples[0].flags == ""


def test_line_of_another_time_is_not_joined() -> None:
    assert join_flags(flow(200), [line(START + 5)], "w").samples[0].flags == ""


def test_a_line_speaks_of_one_request_only() -> None:
    samples = [Sample(START, 50, 200), Sample(START + 0.01, 50, 200)]

    timeline = join_flags(Timeline.of("a client", samples), [line(START + 0.02)], "w")

    assert [sample.flags for sample in timeline.samples] == ["-", ""]


def test_lost_request_takes_no_clean_line() -> None:
    """A request without an answer whose line is clean is another's line."""
    assert join_flags(flow(None), [line(START, 200, "-")], "w").samples[0].flags == ""
    assert join_flags(flow(None), [line(START, 0, "DC")], "w").samples[0].flags == "DC"


def test_values_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow(200).samples[0].status = 500  # type: ignore[misc]  # that is the point


def test_recovery_is_counted_from_the_events_end() -> None:
    """Lost from 0.1 s to 0.4 s; what was done was over at 0.15 s, or later."""
    statuses = (200, 200, None, None, None, None, None, None, 200, 200)
    early, late = Event("early", START + 0.08, START + 0.15), Event("late", START + 0.08, START + 0.42)
    timeline = flow(*statuses, events=(early, late))

    assert timeline.seconds_to_recover("early") == pytest.approx(0.25)
    assert timeline.seconds_to_recover("late") == 0


def test_what_is_not_over_is_never_recovered() -> None:
    """Planted: the last request is lost, during the event or long after it."""
    event = Event("killed", START + 0.04, START + 0.06)

    assert flow(200, None, None, events=(event,)).seconds_to_recover("killed") == float("inf")
    assert flow(200, 200, 200, 200, None, events=(event,)).seconds_to_recover("killed") == float("inf")


def test_second_outage_delays_recovery() -> None:
    """Planted: served once, then lost again."""
    event = Event("killed", START + 0.04, START + 0.06)

    assert flow(200, None, 200, None, None, 200, events=(event,)).seconds_to_recover("killed") == pytest.approx(0.19)


def test_requests_about_an_event_end_where_the_next_begins() -> None:
    first, second = Event("first", START + 0.05, START + 0.1), Event("second", START + 0.2, START + 0.25)
    timeline = flow(*[200] * 8, events=(first, second))

    assert (timeline.until_next_event(first).sent, timeline.until_next_event(second).sent) == (3, 4)


@pytest.mark.parametrize("ahead", [-4.0, -0.3, 0.0, 3.0])
def test_lines_are_joined_whatever_the_proxys_clock_says(ahead: float) -> None:
    """The clocks are compared by the requests before the first event; lines after it are moved by as much."""
    event = Event("killed", START + 0.99, START + 1.5)
    statuses = [200] * 20 + [503, None, 200]
    lines = [line(START + n * 0.05 + ahead + 0.001, status, "UF" if status == 503 else "-")
             for n, status in enumerate(statuses) if status]  # fmt: skip

    timeline = flow(*statuses, events=(event,))
    joined = join_flags(timeline, lines, "w")

    assert [sample.flags for sample in joined.samples] == ["-"] * 20 + ["UF", "", "-"]
    offset = measure_offset(timeline, lines)
    assert offset is not None
    assert offset.low <= ahead <= offset.high
    assert offset.is_measurable == (ahead != 0)


def test_clocks_are_not_compared_by_lines_of_other_requests() -> None:
    """Too few of them, or fewer lines than requests: nothing is known, and nothing is moved."""
    early = Event("killed", START + 5, START + 6)

    assert measure_offset(flow(*[200] * 9, events=(early,)), [line(START + 3)] * 9) is None
    assert measure_offset(flow(*[200] * 20, events=(early,)), [line(START + 3)] * 19) is None
    assert of_moments([]) is None
    assert of_moments([(5.0, 0.0, 1.0), (5.0, 3.0, 4.0)]) is None


def test_offset_is_what_all_moments_allow() -> None:
    """And it can be added to another clock's."""
    offset = of_moments([(10.4, 10.0, 10.2), (20.5, 20.1, 20.4)])

    assert offset is not None
    assert (round(offset.low, 3), round(offset.high, 3)) == (0.2, 0.4)
    assert str(offset.plus(ClockOffset(-1.0, 1.0))) == "+0.3 s (within 1.1 s)"
    assert not offset.plus(ClockOffset(-1.0, 1.0)).is_measurable


def test_budgets_are_generous_and_say_why() -> None:
    """A budget that fits the recorded runs closely is no budget: at least twice the longest of them."""
    budgets = [one for one in vars(outage_budgets).values() if isinstance(one, outage_budgets.Budget)]

    assert len(budgets) >= 4
    assert [str(one) for one in budgets if one.seconds < 2 * one.seen or len(one.why) < 20] == []
