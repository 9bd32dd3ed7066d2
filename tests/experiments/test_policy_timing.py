"""Budgets are held to; what was in force before cannot be timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.errors import Inconclusive
from harness.experiments import policy_timing
from harness.kube import Kube
from harness.wait import set_patience
from tests import recordings
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock

WAITING = Path(__file__).parents[2] / "docs" / "waiting.md"


def test_what_is_over_its_budget_is_named() -> None:
    """With both numbers; what keeps it is not. A patient run gives more time, an impatient one no less."""
    found = {"Accepted": 4.9, "route applied": 10.1}

    assert policy_timing.over_budget(found) == ["route applied took 10.10s, its budget is 10s"]
    set_patience(2)
    assert policy_timing.over_budget(found) == []
    set_patience(0.1)
    assert len(policy_timing.over_budget(found)) == 1


def test_documented_budgets_are_those_held_to() -> None:
    """docs/waiting.md states the budget of each policy beside the figures that it comes from."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in WAITING.read_text().splitlines()]
    values = {row[0]: [float(n) for n in row[5].split(",")] for row in rows if len(row) == 6 and "/" in row[1]}
    kinds = {name.rpartition(" ")[0] for name in policy_timing.BUDGET if " " in name}

    assert values == {
        kind: [
            policy_timing.BUDGET["Accepted"],
            policy_timing.BUDGET[f"{kind} applied"],
            policy_timing.BUDGET[f"{kind} removed"],
        ]
        for kind in kinds
    }


def test_policy_that_is_in_force_already_is_not_timed() -> None:
    """Nothing is applied then."""

    @contextmanager
    def never(_: str):  # type: ignore[no-untyped-def]  # a stand-in that must not be called
        raise AssertionError("applied")
        yield

    with pytest.raises(Inconclusive, match=r"before x\.yaml was applied"):
        policy_timing.time_policy(None, never, "x.yaml", "P", lambda: {"w": True}, dict, kind="route", of="w")  # type: ignore[arg-type]  # unused


def test_removed_is_seen_and_not_guessed(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """One 503 ends neither wait: it is no answer of the policy, and none of its absence."""
    route = recordings.objects("objects/httproute.yaml")["ratings"]
    api.put(route)
    answers = iter([404, 503, 200, 503, 200, 404])

    @contextmanager
    def applying(_: str) -> Iterator[None]:
        yield

    policy_timing.time_policy(
        kube,
        applying,
        "x.yaml",
        "HTTPRoute/default/ratings",
        lambda: {"w": next(answers) == 200},
        lambda: {"w": next(answers) == 404},
        kind="route",
        of="w",
    )

    assert list(answers) == []
