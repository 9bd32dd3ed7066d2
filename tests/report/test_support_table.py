"""The support table: cells from results, and the page."""

from __future__ import annotations

from typing import Any

import pytest

from harness.report.results import PLANTED
from harness.report.support_table import as_json, cells, markdown


def result(id: str, outcome: str = "held", **more: Any) -> dict[str, Any]:
    fixed = {"area": "limits", "claim": "It limits.", "witnesses": ["client", "log"], "evidence": f"artifacts/{id}"}
    figures = [{"name": "applied to enforced", "seconds": 0.4, "of": "waypoint"}]
    return {
        **fixed,
        "id": f"suites/limits/test_a.py::{id}",
        "outcome": outcome,
        "figures": figures,
        "reason": "",
        "feature": "Local limit",
        "place": "waypoint",
        "means": "held",
        **more,
    }


Run = tuple[str, dict[str, Any]]


def run(
    *tests: dict[str, Any], name: str = "one", conformance: bool = True, **facts: str
) -> tuple[str, dict[str, Any]]:
    return name, {
        "cluster": {"conformance": conformance},
        "set": "set-a",
        "facts": facts,
        "started": "2026-11-27T20:00:00+00:00",
        "tests": list(tests),
    }


def support(*runs: Run) -> list[str]:
    return [cell.support for cell in cells(runs)]


@pytest.mark.parametrize(
    ("outcome", "means", "reason", "expected"),
    [
        ("held", "held", "", ["held"]),
        ("held", "ignored", "", ["ignored"]),
        ("held", "broken", "", ["broken"]),
        ("broken", "held", "assert 1 == 2", ["broken"]),
        ("broken", "ignored", "assert 1 == 2", ["broken"]),
        ("inconclusive", "held", "a line is missing", ["not judged"]),
        ("error", "held", "no pod", ["not judged"]),
        ("skipped", "held", "not offered by Envoy Gateway 1.7.5: since 1.9", ["not offered"]),
        ("skipped", "held", "nodes: not ours", ["not judged"]),
        ("not run", "held", "", []),
        ("skipped", "held", "another test has this cell: this one is about Envoy Gateway before 1.9", []),
    ],
)
def test_verdict_of_a_cell(outcome: str, means: str, reason: str, expected: list[str]) -> None:
    """What a claim's outcome says of its feature, by what the claim means; of another version's claim nothing."""
    assert support(run(result("a", outcome, means=means, reason=reason))) == expected


def test_only_marked_tests_of_real_clusters_count() -> None:
    """No cell comes from a claim without a place, from an emulated cluster, or from a run under a planted fault."""
    assert support(run(result("a", place=""))) == []
    assert support(run(result("a"), conformance=False)) == []
    assert support(run(result("a"), **{PLANTED: "redis-down"})) == []


def test_worst_claim_decides_a_cell() -> None:
    """Of several claims about one feature at one place the worst counts, and each is its evidence."""
    (cell,) = cells([run(result("a"), result("b", "broken", reason="assert 1 == 2"))])

    assert (cell.support, cell.reason) == ("broken", "assert 1 == 2")
    assert [one.outcome for one in cell.evidence] == ["held", "broken"]


def test_claims_of_other_versions_are_no_evidence() -> None:
    """Where one claim judges this version, another one that is skipped for it says nothing."""
    newer = result("b", "skipped", reason="not offered by Envoy Gateway 1.7.5: since 1.9")

    (cell,) = cells([run(result("a", means="broken"), newer)])

    assert (cell.support, cell.reason, len(cell.evidence)) == ("broken", "", 1)


def test_newest_verdict_counts() -> None:
    """A later run replaces a verdict, but one that could not judge does not."""
    broken, unjudged = run(result("a", "broken"), name="old"), run(result("a", "error"), name="new")

    assert support(broken, run(result("a"), name="new")) == ["held"]
    assert support(broken, unjudged) == ["broken"]
    assert support(unjudged, broken) == ["broken"]


def test_json_has_the_evidence() -> None:
    """support.json names for each cell its tests with witnesses, times, run and path."""
    (cell,) = as_json(cells([run(result("a"))]))["cells"]

    assert (cell["set"], cell["place"], cell["support"]) == ("set-a", "waypoint", "held")
    (one,) = cell["evidence"]
    assert (one["run"], one["path"], one["seconds"]) == ("one", "artifacts/a", {"applied to enforced": 0.4})
    assert one["witnesses"] == ["client", "log"]


def test_page_links_and_explains() -> None:
    """A row for each feature, a column for each place, a link for each verdict, and a note for what is not held."""
    found = cells(
        [
            run(
                result("a"),
                result("b", place="ingress", outcome="broken", reason="assert 1 == 2"),
                result("c", "skipped", feature="A|B", reason="not offered by Envoy Gateway 1.7.5: since 1.9"),
            )
        ]
    )

    page = markdown(found, link="../")
    assert "| feature | set-a, ingress | set-a, waypoint |" in page
    linked = "(../suites/limits/test_a.py)"
    assert f"| Local limit | [broken]{linked} (1) | [held]{linked} |" in page
    assert "| A\\|B |  | not offered |" in page
    assert "1. Local limit, ingress, set-a: assert 1 == 2" in page
    assert "[held](one/artifacts/a)" in markdown(found, link="run")
