"""Bounds of a binomial count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.binomial import bounds, greatest_count, upper_rate


def test_known_bounds() -> None:
    """Of ten throws of a fair coin, 0 or 10 heads come up twice in 1024, 1 or 9 twenty times more."""
    assert bounds(10, 0.5, error=0.001) == (0, 10)
    assert bounds(10, 0.5, error=0.002) == (1, 9)
    assert bounds(10, 0.5, error=0.02) == (1, 9)
    assert bounds(10, 0.5, error=0.022) == (2, 8)


@given(st.integers(1, 200), st.floats(0.05, 0.95), st.sampled_from([0.05, 1e-6]))
def test_bounds_hold_the_mean(trials: int, probability: float, error: float) -> None:
    """They lie within what is possible, around the mean, and a smaller error makes them no narrower."""
    least, most = bounds(trials, probability, error=error)

    assert 0 <= least <= trials * probability <= most <= trials
    assert bounds(trials, probability, error=error / 10)[0] <= least


@pytest.mark.parametrize(("probability", "expected"), [(0.0, (0, 0)), (1.0, (7, 7))])
def test_certainty_leaves_no_room(probability: float, expected: tuple[int, int]) -> None:
    """What always or never happens has one count."""
    assert bounds(7, probability, error=0.01) == expected


def test_known_upper_rates() -> None:
    """Of nothing in n trials: 1 - error**(1/n)."""
    assert upper_rate(0, 10, error=0.05) == pytest.approx(1 - 0.05**0.1)
    assert upper_rate(4, 32, error=0.05) == pytest.approx(0.264, abs=0.002)
    assert upper_rate(5, 5, error=0.05) == 1.0


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.05, 0.01]))
def test_upper_rate_explains_what_was_seen(events: int, trials: int, error: float) -> None:
    """At that rate so few events are as likely as the error; it is above what was seen, and falls with more trials."""
    events = min(events, trials)
    rate = upper_rate(events, trials, error=error)

    assert events / trials <= rate <= 1
    assert upper_rate(events, trials + 1, error=error) <= rate or events == trials
    assert greatest_count(trials, rate, error=error) >= events


def test_greatest_count_is_exceeded_rarely() -> None:
    """Of two coins both are heads once in four times."""
    assert greatest_count(2, 0.5, error=0.25) == 1
    assert greatest_count(2, 0.5, error=0.2) == 2
    assert greatest_count(7, 0.0, error=1e-9) == 0
