"""Which assertions no failure has reached."""

from pathlib import Path

from harness.faults import assertion_coverage
from harness.faults.assertion_coverage import Assertion

SUITE = """
def test_a(x):
    assert x.ok, "why"
    for y in x:
        assert (
            y ==
            1
        )
"""


def test_assertions_are_found_with_their_lines(tmp_path: Path) -> None:
    """Every assert, nested ones too, with all the lines it takes and its condition in one."""
    folder = tmp_path / "suites" / "a"
    folder.mkdir(parents=True)
    (folder / "test_a.py").write_text(SUITE)
    (folder / "helper.py").write_text("assert True\n")

    found = assertion_coverage.find_assertions(tmp_path, ["suites/a"])

    assert found == [
        Assertion("suites/a/test_a.py", 3, 3, "x.ok", "test_a"),
        Assertion("suites/a/test_a.py", 5, 8, "y == 1", "test_a"),
    ]
    assert found[0].test == "suites/a/test_a.py::test_a"


def test_struck_on_any_of_its_lines_is_reached() -> None:
    """Python names a line within the statement; another file's or a line beside it is none."""
    one, two = Assertion("a.py", 5, 8, "x"), Assertion("b.py", 5, 5, "y")

    assert assertion_coverage.unreached_assertions([one, two], [("a.py", 6), ("b.py", 4)]) == [two]
    assert assertion_coverage.unreached_assertions([], []) == []
