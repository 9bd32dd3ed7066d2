"""Rows as lines in columns."""

from harness.text_table import align


def test_cells_are_as_wide_as_the_widest_of_their_column() -> None:
    rows = [("run", "passed"), ("outside", "75"), ("in", "")]

    assert align(rows) == ["run      passed", "outside  75", "in"]
    assert align(rows, to_right=True) == ["    run  passed", "outside      75", "     in"]


def test_no_rows_are_no_lines() -> None:
    assert align([]) == []
