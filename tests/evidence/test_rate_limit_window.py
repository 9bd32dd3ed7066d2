"""Fixed rate-limit windows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.rate_limit_window import UNIT_SECONDS, expected_statuses, seconds_left
from tests.recordings.shapes import fuzz

moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("at", "unit", "left"),
    [
        ("2026-11-21T00:59:30+00:00", "Hour", 30),
        ("2026-11-21T01:00:00+00:00", "Hour", 3600),
        # The window is UTC's: an Indian clock shows half past when it turns.
        ("2026-11-21T06:29:59+05:30", "Hour", 1),
        ("2026-11-21T00:59:30+00:00", "Minute", 30),
        ("2026-11-21T00:00:00+00:00", "Day", 86400),
        ("2026-11-21T00:00:00.250+00:00", "Second", 0.75),
    ],
)
def test_windows_turn_with_the_utc_clock(at: str, unit: str, left: float) -> None:
    """A window ends at the full hour, however late it was begun."""
    assert seconds_left(datetime.fromisoformat(at), unit) == pytest.approx(left)


def test_unknown_unit_and_naive_time_are_refused() -> None:
    """Neither has a window."""
    with pytest.raises(ValueError, match="no rate-limit unit 'HOUR'"):
        seconds_left(datetime.now(UTC), "HOUR")
    with pytest.raises(ValueError, match="time zone"):
        seconds_left(datetime(2026, 1, 1), "Hour")


@pytest.mark.parametrize(
    ("quota", "sent", "already", "statuses"),
    [
        (3, 5, 0, [200, 200, 200, 429, 429]),
        (3, 2, 2, [200, 429]),
        (3, 2, 9, [429, 429]),
        (0, 1, 0, [429]),
        (3, 0, 0, []),
    ],
)
def test_expected_statuses(quota: int, sent: int, already: int, statuses: list[int]) -> None:
    """The quota passes, then nothing does."""
    assert expected_statuses(quota, sent, already) == statuses


def test_negative_numbers_are_refused() -> None:
    """A count of requests is no less than none."""
    with pytest.raises(ValueError, match="negative"):
        expected_statuses(3, -1)


@fuzz
@given(moments, st.sampled_from(sorted(UNIT_SECONDS)), st.integers(-12, 12))
def test_some_of_the_window_is_always_left(now: datetime, unit: str, hours: int) -> None:
    """More than nothing and at most a whole unit, in every time zone the same."""
    elsewhere = now.astimezone(timezone(timedelta(hours=hours)))

    assert 0 < seconds_left(now, unit) <= UNIT_SECONDS[unit]
    assert seconds_left(elsewhere, unit) == seconds_left(now, unit)


@fuzz
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_requests_can_be_sent_in_parts(quota: int, first: int, second: int) -> None:
    """Two sends in one window see what one send of both would."""
    assert expected_statuses(quota, first) + expected_statuses(quota, second, already=first) == expected_statuses(
        quota, first + second
    )
