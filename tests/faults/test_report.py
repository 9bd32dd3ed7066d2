"""What the catalogue came to, as shown and as kept."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.faults import report
from harness.faults.assertion_coverage import Assertion
from harness.faults.catalogue import Fault
from harness.faults.fault_results import CatalogueResult, FaultResult, PytestResult, PytestRun

A = "suites/a/test_b.py::test_c[x]"
LONG = "Inconclusive: " + "the proxy's log has no line for some requests " * 12


def finding(outcome: str = "broken", found: str = "AssertionError: it is TCP", name: str = "one") -> FaultResult:
    values = {
        "name": name,
        "broken": "Something is broken.",
        "field": "Somebody broke it.",
        "caught_by": (A.partition("[")[0],),
        "says": "TCP",
        "plant": [{"delete": {"object": "Service/default/ratings"}}],
    }
    return FaultResult(Fault.model_validate(values), PytestRun((PytestResult(A, outcome, found),), planted=1), 2.25)


@pytest.fixture
def out() -> Console:
    return Console(file=StringIO(), width=200, color_system=None)


def output_of(out: Console) -> str:
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def result(*found: FaultResult) -> CatalogueResult:
    unreached = (Assertion("suites/a/test_b.py", 7, 8, "x == 1"),)
    return CatalogueResult(found, ("suites/a/test_b.py::test_d",), unreached, ("suites/z",), 9.0)


def test_line_as_each_is_done(out: Console) -> None:
    """Its number, seconds, name, and what came of it; square brackets of ids are no markup."""
    report.print_fault(out, finding(), 3, 98)
    report.print_fault(out, finding("held"), 4, 98)

    first, second = output_of(out).splitlines()
    assert first == "  3/98   2.2s  one: caught by 1"
    assert second == f"  4/98   2.2s  one: MISSED: {A} held"


def test_table_has_the_first_line_of_each_failure(out: Console) -> None:
    """Fault, test and outcome, what it printed first; a missed fault has a row of its own above its tests."""
    report.print_table(out, [finding(), finding("held", "", name="two")])

    rows = [" ".join(line.split()) for line in output_of(out).splitlines()]
    assert rows == [
        "fault caught by first line",
        "one a/test_b.py::test_c[x] (broken) it is TCP",
        f"two MISSED {A} held",
        "a/test_b.py::test_c[x] (held)",
    ]


def test_summary_counts_and_names_what_is_left(out: Console) -> None:
    """Tests without a fault, assertions that none reached, areas beyond, and the seconds: each, and all."""
    report.print_summary(out, result(finding(), finding("held")))

    assert output_of(out).splitlines() == [
        "no fault makes it fail: suites/a/test_b.py::test_d",
        "no fault reaches this assertion: suites/a/test_b.py:7: x == 1",
        "without faults of their own: suites/z",
        "1 of 2 faults caught, 4s, 2.2s each; control included 9s",
    ]


def test_nothing_planted_divides_by_nothing(out: Console) -> None:
    """An empty part of a catalogue has a summary, too."""
    report.print_summary(out, CatalogueResult((), (), (), (), 1.0))

    assert "0 of 0 faults caught" in output_of(out)


def test_files_are_kept(tmp_path: Path) -> None:
    """The table and summary as text, everything as JSON, long lines whole."""
    report.write_reports(tmp_path, result(finding(found=f"TCP {LONG}")))

    document = json.loads((tmp_path / "faults.json").read_text())
    (one,) = document["faults"]
    assert (one["name"], one["caught"], one["missed"], one["seconds"]) == ("one", True, "", 2.25)
    assert one["tests"] == [{"id": A, "outcome": "broken", "found": f"TCP {LONG}"}]
    assert document["unnamed"] == ["suites/a/test_b.py::test_d"]
    assert document["unreached"] == ["suites/a/test_b.py:7: x == 1"]
    assert "1 of 1 faults caught" in (tmp_path / "faults.txt").read_text()


def test_control_that_failed_is_shown(out: Console) -> None:
    """Which tests fail without any fault, and how."""
    report.print_control_failure(out, [PytestResult(A, "error", "harness.errors.NotReady: x: not within 3s")])

    assert output_of(out).splitlines() == [
        "1 tests fail without any fault: no fault was planted",
        f"  error {A}: NotReady: x: not within 3s",
    ]


def test_share_of_named_causes(out: Console) -> None:
    """Of the faults that say what must be named, and of all; those that are not named are listed."""
    words = [
        replace(one, fault=one.fault.model_copy(update={"cause": "it is TCP"}))
        for one in (finding(), finding(found="TCP"))
    ]

    report.print_summary(out, result(*words, finding()))

    assert "cause not named: one: its first lines lack 'it is TCP'" in output_of(out)
    assert "1 of 3 faults name their cause (33%), in the first lines of a failure; 1 say no words for it" in output_of(
        out
    )
