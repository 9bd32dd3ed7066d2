"""Budgets warn; what was in force before cannot be timed."""

from contextlib import contextmanager

import pytest

from harness import ledger
from harness.errors import Unjudged
from harness.stack import timing


def test_what_is_over_its_budget_is_told() -> None:
    """By name, with both numbers, and as a sighting; what keeps it is not."""
    ledger.turn_to("timing")

    late = timing.over({"Accepted": 0.1, "route applied": 99.0})

    assert late == ["route applied took 99.00s, its budget is 5s"]
    assert [s.who for s in ledger.page("timing").sightings] == ["budget"]
    ledger.turn_to("")


def test_unknown_kind_has_no_budget() -> None:
    """It must be given one first."""
    with pytest.raises(KeyError):
        timing.over({"another kind applied": 1.0})


def test_policy_that_is_in_force_already_is_not_timed() -> None:
    """Nothing is applied then."""

    @contextmanager
    def never(_: str):  # type: ignore[no-untyped-def]  # a stand-in that must not be called
        raise AssertionError("applied")
        yield

    with pytest.raises(Unjudged, match=r"before x\.yaml was applied"):
        timing.once(None, never, "x.yaml", "P", lambda: True, kind="route", of="w")  # type: ignore[arg-type]  # unused
