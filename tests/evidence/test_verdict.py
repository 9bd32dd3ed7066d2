"""Three-valued verdicts and their sum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.verdict import Verdict, broken, combine, held, inconclusive
from tests.recordings.shapes import fuzz

verdicts = st.builds(Verdict, st.sampled_from(["held", "broken", "inconclusive"]), st.text(max_size=5))


@pytest.mark.parametrize(
    ("given_", "sum_"),
    [
        ([], inconclusive("nothing was judged")),
        ([held("a")], held("a")),
        ([held("a"), held("b"), held("a")], held("a; b")),
        ([held("a"), inconclusive("b")], inconclusive("b")),
        ([inconclusive("a"), broken("b"), held("c"), broken("d")], broken("b; d")),
    ],
)
def test_sum_of_verdicts(given_: list[Verdict], sum_: Verdict) -> None:
    """Nothing judged is inconclusive; one broken breaks all; one inconclusive clouds the rest."""
    assert combine(given_) == sum_


@fuzz
@given(st.lists(verdicts))
def test_held_needs_every_one(many: list[Verdict]) -> None:
    """The sum is held when there are verdicts and all of them are."""
    assert combine(many).held == bool(many and all(verdict.held for verdict in many))


@fuzz
@given(st.lists(verdicts), st.lists(verdicts, min_size=1))
def test_more_verdicts_never_repair(some: list[Verdict], more: list[Verdict]) -> None:
    """What is broken stays broken, whatever is added."""
    assert combine([*some, *more]).outcome == "broken" or combine(some).outcome != "broken"


def test_verdict_has_no_truth_value() -> None:
    """`if verdict` would take unseen for false."""
    with pytest.raises(TypeError, match="no truth value"):
        bool(inconclusive("nobody looked"))
    assert str(inconclusive("nobody looked")) == "inconclusive: nobody looked"
