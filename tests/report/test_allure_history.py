"""The history that Allure shows beside a run, from the results of the runs before it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report.allure_history import DURATIONS, LIMIT, TESTS, TOTALS, add_run


def result(test: str, status: str, run: int, **other: Any) -> dict[str, Any]:
    """A result as allure-pytest writes it; run N takes the seconds N to N + 1."""
    return {
        "uuid": f"{test}{run}",
        "historyId": test,
        "status": status,
        "start": run * 1000,
        "stop": (run + 1) * 1000,
    } | other


def test_a_run_is_added_before_the_earlier_ones():
    """Each test's results and the totals have the newest first."""
    history = add_run({}, [result("a", "passed", 1), result("b", "skipped", 1)])
    history = add_run(history, [result("a", "failed", 2, statusDetails={"message": "[200] == [429]"})])

    assert [one["uid"] for one in history[TESTS]["a"]["items"]] == ["a2", "a1"]
    assert [one.get("statusDetails") for one in history[TESTS]["a"]["items"]] == ["[200] == [429]", None]
    assert history[TESTS]["a"]["items"][0]["time"] == {"start": 2000, "stop": 3000, "duration": 1000}
    assert (history[TESTS]["a"]["statistic"]["total"], history[TESTS]["a"]["statistic"]["failed"]) == (2, 1)
    assert [one["uid"] for one in history[TESTS]["b"]["items"]] == ["b1"]
    assert [one["buildOrder"] for one in history[TOTALS]] == [2, 1]
    assert [(one["data"]["total"], one["data"]["skipped"]) for one in history[TOTALS]] == [(1, 0), (2, 1)]
    assert [one["data"]["duration"] for one in history[DURATIONS]] == [1000, 1000]


def test_as_many_are_kept_as_allure_keeps():
    """The oldest leave; numbers of runs go on."""
    history: dict[str, Any] = {}
    for run in range(LIMIT + 3):
        history = add_run(history, [result("a", "passed", run)])

    assert [one["uid"] for one in history[TESTS]["a"]["items"]] == [f"a{run}" for run in range(LIMIT + 2, 2, -1)]
    assert [one["buildOrder"] for one in history[TOTALS]] == list(range(LIMIT + 3, 3, -1))


@pytest.mark.parametrize("cut_off", [{"stop": None}, {"historyId": None}])
def test_a_test_that_was_cut_off_has_no_result(cut_off):
    """Nor has a run of such tests alone."""
    before = add_run({}, [result("a", "passed", 1)])

    assert add_run(before, [result("a", "passed", 2) | cut_off]) == before


def test_an_unknown_status_is_unknown():
    """As Allure has it."""
    assert add_run({}, [result("a", "odd", 1)])[TOTALS][0]["data"]["unknown"] == 1
