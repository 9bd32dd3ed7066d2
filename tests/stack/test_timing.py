"""Budgets warn; what was in force before cannot be timed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness import ledger
from harness.errors import Inconclusive
from harness.kube import Kube
from harness.stack import timing
from tests import recordings
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock


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

    with pytest.raises(Inconclusive, match=r"before x\.yaml was applied"):
        timing.once(None, never, "x.yaml", "P", lambda: True, bool, kind="route", of="w")  # type: ignore[arg-type]  # unused


def test_removed_is_seen_and_not_guessed(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """One 503 ends neither wait: it is no answer of the policy, and none of its absence."""
    route = recordings.objects("objects/httproute.yaml")["ratings"]
    api.put(route)
    answers = iter([404, 503, 200, 503, 200, 404])

    @contextmanager
    def applying(_: str) -> Iterator[None]:
        yield

    timing.once(
        kube,
        applying,
        "x.yaml",
        "HTTPRoute/default/ratings",
        lambda: next(answers) == 200,
        lambda: next(answers) == 404,
        kind="route",
        of="w",
    )

    assert list(answers) == []
