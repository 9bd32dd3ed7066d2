"""When a fault is caught, and what is reported when it is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.faults import fault_results
from harness.faults.catalogue import Fault
from harness.faults.fault_results import FaultResult, PytestResult, PytestRun

A, B = "suites/a/test_b.py::test_c", "suites/a/test_b.py::test_d"


def fault(*caught_by: str, says: str = "TCP") -> Fault:
    return Fault.model_validate(
        {
            "name": "one",
            "broken": "Something is broken.",
            "field": "Somebody broke it.",
            "caught_by": caught_by or (A,),
            "says": says,
            "plant": [{"delete": {"object": "Service/default/ratings"}}],
        }
    )


def run(*verdicts: PytestResult, **more: Any) -> PytestRun:
    return PytestRun(verdicts, **({"planted": 1} | more))


@pytest.mark.parametrize("outcome", ["broken", "error", "inconclusive"])
def test_failed_for_the_reason_is_caught(outcome: str) -> None:
    """Every way to fail counts, if the reason is the fault's."""
    assert FaultResult(fault(), run(PytestResult(A, outcome, "it is TCP")), 1.0).why_missed == ""


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (run(PytestResult(A, "held")), f"{A} held"),
        (run(PytestResult(A, "skipped", "TCP")), f"{A} skipped"),
        (run(PytestResult(A, "broken", "the machine is")), "no test says 'TCP'"),
        (run(PytestResult(B, "broken", "TCP")), f"no such test: {A}"),
        (run(PytestResult(A, "broken", "TCP"), planted=0), "stack never stood"),
        (
            run(PytestResult(A, "error", "TCP"), planted=0, trouble="ObjectMissing: a"),
            "it could not be planted: ObjectMissing: a",
        ),
        (run(PytestResult(A, "broken", "TCP"), trouble="not undone: ObjectMissing: a"), "not undone: ObjectMissing: a"),
        (PytestRun((), tail="Segmentation fault"), "no test ran: Segmentation fault"),
    ],
)
def test_anything_else_is_missed(made: PytestRun, message: str) -> None:
    """A test that held, another reason, a fault that was never planted: none of it is a catch."""
    assert FaultResult(fault(), made, 1.0).why_missed == message


def test_all_listed_must_catch() -> None:
    """One that fails does not stand in for one that holds; the reason may be any one's."""
    caught, held = PytestResult(A, "broken", "TCP"), PytestResult(B, "held")

    assert FaultResult(fault(A, B), run(caught, held), 1.0).why_missed == f"{B} held"
    assert FaultResult(fault(A, B), run(caught, PytestResult(B, "error", "else")), 1.0).why_missed == ""


def test_skipped_there_without_a_fault_too_is_not_asked() -> None:
    """A test that the cluster cannot judge does not count, and is no catch either."""
    caught, skipped = PytestResult(A, "broken", "TCP"), PytestResult(B, "skipped", "TCP")

    assert FaultResult(fault(A, B), run(caught, skipped), 1.0, frozenset({B})).why_missed == ""
    assert FaultResult(fault(A, B), run(caught, skipped), 1.0).why_missed == f"{B} skipped"
    assert FaultResult(fault(B), run(skipped), 1.0, frozenset({B})).why_missed == "no test says 'TCP'"


def test_id_without_its_case_names_them_all() -> None:
    """A function's id stands for its cases, a file's for its tests; a longer name is another's."""
    cases = [PytestResult(f"{A}[x]", "broken", "TCP"), PytestResult(f"{A}[y]", "held")]

    assert FaultResult(fault(A), run(*cases), 1.0).why_missed == f"{A}[y] held"
    assert fault_results.is_listed("suites/a/test_b.py", A)
    assert not fault_results.is_listed(A, f"{A}_too")


def test_unnamed_tests_are_found() -> None:
    """Tests that no fault names; of the areas that faults name."""
    assert fault_results.tests_without_fault([A, B, "suites/c/test_d.py::test_e"], [fault(B)]) == [
        A,
        "suites/c/test_d.py::test_e",
    ]
    assert fault_results.areas_of([fault(A, B)]) == ["suites/a"]


def test_oracles_need_not_be_named() -> None:
    """They are the same after each area: what must make them fail goes by kind of sign."""
    assert fault_results.tests_without_fault([A, "suites/a::oracles"], [fault(A)]) == []


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ("AssertionError: \nassert [404] == [200]\n  At index 0", "assert [404] == [200]"),
        ("AssertionError: Gateway default/x: Accepted=False\nassert", "Gateway default/x: Accepted=False"),
        ("harness.errors.NotReady: x is y: not within 3s", "NotReady: x is y: not within 3s"),
        ("harness.kube.client.ObjectMissing: x", "ObjectMissing: x"),
        ("", ""),
    ],
)
def test_first_line_tells_something(found: str, line: str) -> None:
    """The class of an assertion, and where an error's class lives, are left out; an empty line is no first line."""
    assert PytestResult(A, "broken", found).first_line == line


def test_run_is_read_from_its_files(tmp_path: Path) -> None:
    """Verdicts from results.json (the first of each id), the fault from fault.json."""
    folder = tmp_path / "latest"
    folder.mkdir()
    tests = [{"id": A, "outcome": "broken", "reason": "why"}, {"id": A, "outcome": "error", "reason": "teardown"}]
    (folder / "results.json").write_text(json.dumps({"tests": tests, "why": ""}))
    values = {"planted": 2, "undone": True, "trouble": "", "struck": [{"id": A, "file": "a.py", "line": 7}]}
    (folder / "fault.json").write_text(json.dumps(values))

    found = fault_results.read_run(tmp_path, "tail")

    assert found == PytestRun((PytestResult(A, "broken", "why"),), "tail", 2, True, "", (("a.py", 7),))


def test_run_without_results_keeps_its_last_words(tmp_path: Path) -> None:
    """A process that died says so by its last lines, and its fault was not taken back."""
    assert fault_results.read_run(tmp_path, "Killed") == PytestRun((), "Killed", undone=False)


@pytest.mark.parametrize(
    ("cause", "found", "named"),
    [
        ("Namespace default", "TCP\n\n  cause: Namespace default lacks the label\nassert", True),
        ("Namespace default", "TCP\n1\n2\n3\n4\n  cause: Namespace default lacks the label", False),
        ("", "TCP", False),
    ],
)
def test_cause_is_named_in_the_first_five_lines(cause: str, found: str, named: bool) -> None:
    """Empty lines do not count; a fault without words names none."""
    asked = fault(A).model_copy(update={"cause": cause})

    assert FaultResult(asked, run(PytestResult(A, "broken", found)), 1.0).is_cause_named is named
