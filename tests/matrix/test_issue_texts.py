"""Issues: one for each cause, with a key that stays the same from night to night."""

from pathlib import Path

from harness import cli
from harness.matrix.folder import Ended, Folder, Matrix, PlannedCell
from harness.matrix.issue_texts import issues


def ended(name: str, outcome: str = "broken", why: str = "claim: 3 of 10 requests") -> Ended:
    return Ended(name, outcome, 1, 60.4, why=why)  # type: ignore[arg-type]


def test_cells_of_one_cause_share_an_issue() -> None:
    """Numbers in a reason make no other cause; another reason or outcome does; held cells have no issue."""
    cells = [
        ended("a"), ended("b", why="claim: 4 of 10 requests"), ended("c", why="other: 3"), ended("d", "error"),
        ended("e", "held", ""), ended("f", "inconclusive", "claim: x"),
    ]  # fmt: skip
    found = issues({one.name: one for one in cells}, "$cause\n\n$cells\n$key $url", "https://example.org/1")
    key, text = next(iter(found.items()))

    assert len(found) == 3
    assert text == (f"claim: 3 of 10 requests\n\n| a | broken | 60 |\n| b | broken | 60 |\n{key} https://example.org/1")


def test_command_writes_a_file_for_each_cause(tmp_path: Path) -> None:
    """A file is named after its key and has it in its text, by which the workflow finds the open issue; the first line
    is the title, short, and the reason cannot leave its code block."""
    cell = PlannedCell(name="a", slug="a", versions="istio-1.29-eg-1.7")
    folder = Folder(tmp_path / "matrix")
    with folder.held():
        folder.begin(Matrix(cluster="kind", tests=("suites",), suites="x", cells=(cell,)))
    folder.end("a", ended("a", why=f"claim: ``` {'x' * 500}"))

    assert cli.main(["matrix", "issues", str(tmp_path / "matrix"), "--into", str(tmp_path / "issues")]) == 0
    (file,) = (tmp_path / "issues").iterdir()
    assert file.stem in file.read_text()
    assert file.read_text().startswith("nightly: claim: ")
    assert len(file.read_text().splitlines()[0]) <= 130
    assert file.read_text().count("```") == 2
