"""The first line of a failed comparison."""

import pytest

from harness.plugin.comparison_text import WIDTH, value_as_line
from tests.plugin.conftest import Mini

COMPARED = '''
def test_burst():
    """A burst."""
    assert [200] * 9 + [503] * 191 == [200] * 200

def test_name():
    """A long name."""
    assert "httproute/default/rival/rule/0/match/0/ratings" == "httproute/default/ratings/rule/0/match/0/ratings"
'''


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([200] * 9, "[200 x 9]"),
        ([200] * 8, "[200, 200, 200, 200, 200, 200, 200, 200]"),
        ([503, *[200] * 8], "[503, 200 x 8]"),
        ([], "[]"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_long_lists_are_shown_by_their_runs(value: object, text: str) -> None:
    """A short list stays as it is, and so does everything else."""
    assert value_as_line(value) == text


def test_one_side_does_not_push_the_other_out() -> None:
    """A side is cut, and shows that it was."""
    assert len(value_as_line("x" * 1000)) == WIDTH
    assert value_as_line("x" * 1000).endswith("…")


def test_first_line_has_both_sides(mini: Mini) -> None:
    """What the report quotes names the cause."""
    mini.write(a__one=COMPARED).run()

    reasons = [test["reason"].splitlines()[0] for test in mini.results["tests"] if "test_one" in test["id"]]
    assert reasons[0].endswith("[200 x 9, 503 x 191] == [200 x 200]")
    assert "rival/rule/0/match/0/ratings' == 'httproute/default/ratings/rule/0" in reasons[1]
