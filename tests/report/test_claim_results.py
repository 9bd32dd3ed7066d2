"""Phases become verdicts."""

from __future__ import annotations

import pytest

from harness import observations
from harness.report.claim_results import ClaimResults, claim_of


@pytest.fixture
def book(monkeypatch):
    monkeypatch.setattr(observations, "_book", {"": observations.Ledger()})
    made = ClaimResults()
    made.expect("t", area="ingress", claim="A.")
    return made


def test_a_claim_holds_when_its_call_passed(book):
    """A setup alone proves nothing; seconds are those of setup and call."""
    book.report("t", when="setup", result="passed", seconds=1)
    assert book.result_of("t").outcome == "not run"

    book.report("t", when="call", result="passed", seconds=2)
    book.report("t", when="teardown", result="passed", seconds=4)

    assert (book.result_of("t").outcome, book.result_of("t").seconds, book.done) == ("held", 3, 1)


def test_a_failed_phase_says_what_it_was_judged_to_say(book):
    """And an unforeseen one is never a pass."""
    book.entry("t").judged["call"] = ("inconclusive", "no line")
    book.report("t", when="call", result="failed", seconds=0)
    assert (book.result_of("t").outcome, book.result_of("t").reason) == ("inconclusive", "no line")

    book.expect("other", area="a", claim="B.")
    book.report("other", when="call", result="failed", seconds=0)
    assert book.result_of("other").outcome == "broken"


def test_what_was_only_collected_was_not_run(book):
    """It stays in the list."""
    assert [v.outcome for v in book.results] == ["not run"]


@pytest.mark.parametrize(
    ("name", "doc", "claim"),
    [
        ("test_a", "A fact.\n\nMore.", "A fact."),
        ("test_a[x:1]", "A fact.", "A fact. [x:1]"),
        ("test_quota_is_per_caller", None, "quota is per caller"),
        ("test_a", "\n    On two\n    lines.\n", "On two lines."),
        ("test_a[place=ingress]", "At the {place}.", "At the ingress."),
        ("test_a[x:1]", "With {other}.", "With {other}. [x:1]"),
    ],
)
def test_the_claim_is_the_docstrings_first_paragraph(name, doc, claim):
    """With the values of a parametrized test, or its case; without a docstring the name in words."""

    def function():
        pass

    function.__doc__ = doc
    assert claim_of(function, name, {"place": "ingress"}) == claim
