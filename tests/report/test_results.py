"""Counts, times, and what makes a run empty."""

from __future__ import annotations

import pytest

from harness import version_sets
from harness.observations import Figure
from harness.report.results import ClaimResult, FigureValues, RunResult, as_json, versions_line, versions_of, why_empty


def verdict(outcome="held", **more):
    return ClaimResult(**{"id": "a::b", "area": "ingress", "claim": "A.", "outcome": outcome} | more)


def run(*verdicts, **more):
    known = {
        "cluster": "kind",
        "cluster_name": "mesh-e2e",
        "set_name": "s",
        "versions": {},
        "facts": {},
        "started": "t",
    }
    return RunResult(**known | {"verdicts": verdicts} | more)


def test_every_outcome_is_counted():
    """Those that did not occur too."""
    assert run(verdict(), verdict(), verdict("inconclusive")).counts == {
        "held": 2,
        "broken": 0,
        "error": 0,
        "inconclusive": 1,
        "skipped": 0,
        "not run": 0,
    }


def test_times_gather_a_figure_over_tests_and_setup():
    """Minimum, median, maximum; what it was measured on only where that is one thing."""
    first = verdict(figures=(Figure("enforced", 1.0, "a"), Figure("first 200", 5.0, "x")))
    second = verdict(figures=(Figure("enforced", 4.0, "b"),))

    assert run(first, second, figures=[Figure("enforced", 2.0, "a")]).times == [
        FigureValues("enforced", 3, 1.0, 2.0, 4.0, ""),
        FigureValues("first 200", 1, 5.0, 5.0, 5.0, "x"),
    ]


@pytest.mark.parametrize(
    ("verdicts", "why"),
    [
        ([], "nothing was proved: no test was collected (2 were deselected)"),
        ([verdict("skipped"), verdict("skipped")], "nothing was proved: all 2 collected tests were skipped"),
        ([verdict("not run")], "nothing was proved: none of the 1 collected tests ran"),
        ([verdict("skipped"), verdict("held")], ""),
        ([verdict("error")], ""),
    ],
)
def test_a_run_without_any_verdict_of_substance_is_empty(verdicts, why):
    """An error is something: it fails the run by itself."""
    assert why_empty(verdicts, deselected=2) == why


def test_only_the_emulated_cluster_is_marked():
    """In the headline, the versions line and results.json."""
    assert "EMULATED: not conformance" in run(cluster="emulated").headline
    assert "EMULATED" not in run().headline
    assert as_json(run(cluster="emulated"))["cluster"]["conformance"] is False
    assert as_json(run())["cluster"]["conformance"] is True
    assert versions_line("emulated", {}) == "cluster emulated (EMULATED: not conformance)"


def test_the_versions_of_a_set_are_in_reading_order():
    """The four that tell most come first: a failure text shows no more."""
    found = versions_of(version_sets.load().pick())

    assert list(found)[:4] == ["kubernetes", "istio", "envoy-gateway", "gateway-api"]
    assert versions_line("kind", found).count("   ") == 4
