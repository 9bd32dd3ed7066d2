"""How far two clocks differ, from moments whose time both wrote."""

import pytest

from harness.evidence.clock_offset import ClockOffset, of_moments


def test_each_moment_narrows_the_offset() -> None:
    """The other clock wrote 105 between 99 and 101 here, and 205 between 100 and 100.5 a hundred seconds later."""
    found = of_moments([(105, 99, 101), (205, 199, 200.5)])

    assert found == ClockOffset(4.5, 6)
    assert found.is_measurable
    assert str(found) == "+5.2 s (within 0.8 s)"
    assert found.plus(ClockOffset(-5, -4)) == ClockOffset(-0.5, 2)
    assert not found.plus(ClockOffset(-5, -4)).is_measurable


@pytest.mark.parametrize(
    ("moments", "slack"),
    [([], 0.0), ([(105, 100, 101), (107, 100, 101)], 0.0), ([(105, 100, 101), (107, 100, 101)], 0.9)],
)
def test_moments_without_a_common_offset_have_none(moments: list[tuple[float, float, float]], slack: float) -> None:
    """One says 4 to 5 s, the other 6 to 7 s: they differ by 1 s, which a smaller slack does not bridge."""
    assert of_moments(moments, slack=slack) is None


def test_slack_bridges_what_the_moments_differ_by() -> None:
    assert of_moments([(105, 100, 101), (107, 100, 101)], slack=1.0) == ClockOffset(5, 6)
    assert of_moments([(105, 100, 101), (106, 100, 101)]) == ClockOffset(5, 5)
