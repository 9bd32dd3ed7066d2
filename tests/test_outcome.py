"""One list of outcomes."""

import ast
from pathlib import Path

import pytest

from harness.outcome import Outcome, worst
from tests.sources import nodes

HARNESS = Path(__file__).resolve().parent.parent / "harness"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["held", "broken", "error"], Outcome.BROKEN),
        (["inconclusive", "error", "held"], Outcome.ERROR),
        (["held", "inconclusive", "skipped"], Outcome.INCONCLUSIVE),
        (["skipped", "held"], Outcome.HELD),
        (["skipped", "not run"], None),
        ([], None),
    ],
)
def test_the_worst_of_several_counts(outcomes: list[str], expected: Outcome | None) -> None:
    """A false claim outweighs an error, an error what could not be judged; what was not tried counts for nothing."""
    assert worst(outcomes) == expected


def test_no_other_list_of_outcomes() -> None:
    """No module compares an outcome with a string, or lists several of them as strings, beside `harness.outcome`."""
    words = {outcome.value for outcome in Outcome}
    found = [
        f"{file.relative_to(HARNESS)}:{node.lineno}"
        for file in sorted(HARNESS.rglob("*.py"))
        if file.relative_to(HARNESS).as_posix() not in {"outcome.py", *OTHERS}
        for node in nodes(file)
        if _outcomes_as_strings(node, words)
    ]

    assert found == []


# These name something else in the same words.
OTHERS = {
    "conformance/suite_log.py",  # the results of the conformance suite itself
    "report/allure_history.py",  # Allure's own statuses
    "report/support_table.py",  # what the support table says of a feature
}


def _outcomes_as_strings(node: ast.AST, words: set[str]) -> bool:
    """Whether a comparison of something named `outcome`, or a display of two or more strings, is of outcomes."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        to_a_word = any(isinstance(one, ast.Constant) and one.value in words for one in sides)
        return to_a_word and any("outcome" in ast.unparse(side) for side in sides)
    if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
        parts = node.keys if isinstance(node, ast.Dict) else node.elts
        constants = [one.value for one in parts if isinstance(one, ast.Constant)]
        return sum(one in words for one in constants) >= 2
    return False
