"""Intervals of means, and the tables of a measurement of cost."""

from math import inf, isclose
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.confidence_intervals import difference, mean_interval, ratio
from harness.evidence.cost_tables import path_table, use_table

VALUES = st.lists(st.floats(0.1, 1e6), min_size=2, max_size=40)


def test_students_interval() -> None:
    """Of 1, 2, 3 (deviation 1, two degrees of freedom) it is 2 more or less 4.303 / sqrt(3)."""
    found = mean_interval([1.0, 2.0, 3.0])

    assert found.mean == 2.0
    assert isclose(found.high - 2.0, 4.303 / 3**0.5)
    assert isclose(2.0 - found.low, found.high - 2.0)


def test_one_measurement_has_no_interval() -> None:
    """Nothing bounds a single one, and none has no mean."""
    assert mean_interval([3.0]) == (3.0, -inf, inf)
    assert mean_interval([3.0]).text() == "3.00"
    with pytest.raises(ValueError, match="no measurements"):
        mean_interval([])


@given(VALUES)
def test_interval_surrounds_the_mean(values: list[float]) -> None:
    """And that of equal pairs is a difference of 0 and a ratio of 1."""
    found = mean_interval(values)

    assert found.low <= found.mean <= found.high
    assert difference(values, values).mean == 0.0
    assert isclose(ratio(values, values).mean, 1.0)


def test_rounds_are_paired() -> None:
    """What all paths of a round share (a busy machine) leaves difference and ratio exact."""
    assert difference([11.0, 101.0], [10.0, 100.0]) == (1.0, 1.0, 1.0)
    assert ratio([20.0, 200.0], [10.0, 100.0]) == (2.0, 2.0, 2.0)
    for paired in (difference, ratio):
        with pytest.raises(ValueError, match="shorter"):
            paired([1.0, 2.0], [1.0])


def test_tables() -> None:
    """A row for each path and component; the baseline has neither difference nor ratio."""
    assert path_table({"no mesh": [1.0, 1.0], "waypoint": [3.0, 3.0]}, "no mesh", "p50, ms").split("\n") == [
        "| path | p50, ms | difference to no mesh | ratio |",
        "|---|---|---|---|",
        "| no mesh | 1.00 (1.00 to 1.00) |  |  |",
        "| waypoint | 3.00 (3.00 to 3.00) | 2.00 (2.00 to 2.00) | 3.00 (3.00 to 3.00) |",
    ]
    idle, busy = SimpleNamespace(cores=0.01, memory_bytes=2**20), SimpleNamespace(cores=0.2, memory_bytes=2**21)
    assert use_table({"waypoint": idle}, {"waypoint": busy}).split("\n")[2] == "| waypoint | 0.010 | 0.200 | 1 | 2 |"
