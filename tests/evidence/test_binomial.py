"""Bounds of a binomial count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.binomial import bounds


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
