"""The command `mesh-e2e support`: writes the support table from the results of runs."""

from __future__ import annotations

import argparse
import functools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from harness.errors import BadInput
from harness.report import support_table
from harness.report.results_file import finished_runs, read_results
from harness.settings import ROOT, Settings

Link = Literal["evidence", "suites"]
TITLE = "# Support\n\nFeatures at the ingress and at the waypoint, by version set, as seen on real clusters.\n\n"
AGAIN = (
    "`make support` writes this page from the results of runs; each verdict links to the {what} behind it. "
    "An empty cell means that no test tries that feature at that place, or that none ran with that version set.\n\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `mesh-e2e support` takes."""
    parser.add_argument("runs", nargs="*", metavar="RUN", help="folders of runs; all that ended by default")
    parser.add_argument("--into", default="", metavar="FOLDER", help="where support.md and support.json go")
    parser.add_argument("--add", action="store_true", help="keep the verdicts of the table there that no run replaces")
    parser.add_argument("--link", choices=("evidence", "suites"), default="evidence", help="where verdicts link to")


def run(asked: argparse.Namespace, chosen: Settings) -> str:
    """Writes the table, and returns what was written.

    Raises:
        BadInput: as `write` and `recent`.
    """
    runs = [Path(run) for run in asked.runs] or recent(chosen.runs)
    cells, files = write(runs, Path(asked.into) if asked.into else chosen.runs, asked.link, add=asked.add)
    counts = Counter(cell.support for cell in cells)
    counted = ", ".join(f"{count} {name}" for name, count in counts.items())
    return "\n".join([f"{len(cells)} cells: {counted}", *map(str, files)])


def write(
    runs: Sequence[Path], into: Path, link: Link, *, add: bool = False
) -> tuple[list[support_table.Cell], list[Path]]:
    """Writes support.md and support.json of these run folders into a folder, and returns the cells and the files.
    Tests that the suites no longer have are left out. Verdicts link to the runs' evidence, or to the suites in the
    repository of which the folder is a part. `add`: verdicts of the folder's support.json stay unless a run
    replaces them.

    Raises:
        BadInput: a run or that table cannot be read, no run has a cell, or the files cannot be written.
    """
    kept = functools.cache(_is_there)
    read = sorted(((run, read_results(run)) for run in runs), key=lambda found: str(found[1]["started"]))
    found = support_table.cells(
        (_shown(run, into), results | {"tests": [test for test in results["tests"] if kept(test["id"])]})
        for run, results in read
    )
    if not found:
        raise BadInput(
            f"none of {len(runs)} runs has a claim about a feature on a real cluster",
            remedy="run suites with such claims first, for instance make e2e T=suites/authentication",
        )
    found = support_table.added(_earlier(into / "support.json", kept), found) if add else found
    begin = TITLE + AGAIN.format(what="evidence" if link == "evidence" else "test")
    page = begin + support_table.markdown(found, link="run" if link == "evidence" else "../")
    texts = {
        into / "support.md": page,
        into / "support.json": json.dumps(support_table.as_json(found), indent=1, ensure_ascii=False) + "\n",
    }
    try:
        into.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text)
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}") from error
    return found, list(texts)


def _earlier(file: Path, kept: Callable[[str], bool]) -> list[support_table.Cell]:
    """The cells of a table whose tests are still there.

    Raises:
        BadInput: there is no such table.
    """
    try:
        found = support_table.from_json(json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{file} is not a table to add to: {error}", remedy="leave --add out: a new one is written"
        ) from None
    return [cell for cell in found if any(kept(one.test) for one in cell.evidence)]


def recent(runs: Path) -> list[Path]:
    """The folders of all runs that have ended.

    Raises:
        BadInput: there is none.
    """
    found = finished_runs(runs)
    if not found:
        raise BadInput(f"{runs} has no finished run", remedy="make e2e first, or name the folders of runs")
    return found


def _is_there(test: str) -> bool:
    """Whether the suites still have the test of this id: what was removed since has no cell."""
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.is_file() and f"def {name.partition('[')[0]}(" in path.read_text()


def _shown(run: Path, into: Path) -> str:
    """The run's folder as seen from the page; elsewhere only its name, which says nothing of this machine."""
    run, into = run.resolve(), into.resolve()
    return run.relative_to(into).as_posix() if run.is_relative_to(into) else run.name
