"""The commands `mesh-e2e history add|show` and `mesh-e2e repeat`."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.errors import BadInput
from harness.history import quarantine
from harness.history.repeating import TIMES, Judged, changed_tests, repeat, run_sequential_test
from harness.history.sequential_test import SequentialTest
from harness.history.store import History
from harness.report.results_file import finished_runs
from harness.settings import Settings

DATABASE = ".history/history.db"


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `history`."""
    parser.add_argument("--database", default=DATABASE, help=f"default: {DATABASE}")
    commands = parser.add_subparsers(dest="action", required=True)
    added = commands.add_parser("add", help="add run folders")
    added.add_argument("runs", nargs="+", help="run folders, or folders of them")
    shown = commands.add_parser("show", help="every test with its decision; one test with all its outcomes")
    shown.add_argument("test", nargs="?", default="", help="a test's id")


def add_repeat_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `repeat`."""
    parser.add_argument("--database", default=DATABASE, help=f"default: {DATABASE}")
    parser.add_argument("tests", nargs="*", help="files or ids of suites")
    parser.add_argument("--changed-since", default="", metavar="REVISION", help="the tests changed since, by Git")
    parser.add_argument("--times", type=int, default=0, help="at most so often (default: 20 emulated, 3 elsewhere)")


def run_history(asked: argparse.Namespace, _: Settings) -> tuple[str, int]:
    """Adds runs or shows the history. Returns what is printed and the exit code: 1 if a test is flaky.

    Raises:
        BadInput: a run folder or the database cannot be read, or the test never ran.
    """
    history = History(Path(asked.database))
    if asked.action == "add":
        folders = [folder for place in asked.runs for folder in _runs(Path(place))]
        new = sum(history.add(folder) for folder in folders)
        return f"{new} runs added, {len(folders) - new} were there", 0
    if not history.path.exists():
        raise BadInput(f"no history in {history.path}", remedy="mesh-e2e history add runs/*")
    if asked.test:
        past = history.of(asked.test)
        if not past:
            raise BadInput(f"{asked.test} never ran", remedy="`mesh-e2e history show` lists the tests")
        lines = [
            f"{p.started}  {p.cluster:8}  {p.outcome:12}  {p.seconds:7.1f} s  {p.versions}  {p.reason[:100]}"
            for p in past
        ]
        return "\n".join([*lines, "", *_table([run_sequential_test(asked.test, past, SequentialTest())])]), 0
    return _verdicts([run_sequential_test(test, history.of(test), SequentialTest()) for test in history.tests()])


def run_repeat(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    """Repeats tests. Returns what is printed and the exit code: 1 if one is flaky, or ended in an error each time.

    Raises:
        BadInput: no test is named, or a run left no results or ran none of them.
    """
    tests = [*asked.tests, *(changed_tests(asked.changed_since) if asked.changed_since else ())]
    if not tests and asked.changed_since:
        return f"no test has changed since {asked.changed_since}", 0
    if not tests:
        raise BadInput(
            "no test is named", remedy="mesh-e2e repeat suites/ingress/test_gateway.py, or --changed-since main"
        )
    if asked.times < 0:
        raise BadInput(f"--times {asked.times}", remedy="--times 20")
    times = asked.times or TIMES[chosen.cluster]
    found = repeat(tests, times, History(Path(asked.database)), chosen.cluster)
    text, code = _verdicts(found)
    return text, 1 if any(one.errors and not one.runs for one in found) else code


def _runs(place: Path) -> list[Path]:
    if not place.is_dir():
        raise BadInput(f"{place} is not a folder", remedy="mesh-e2e history add runs/*")
    if (place / "results.json").exists() or (place / "verdicts.jsonl").exists():
        return [place]
    return finished_runs(place)


def _verdicts(found: list[Judged]) -> tuple[str, int]:
    rule = SequentialTest()
    entries = quarantine.load().tests
    lines = _table(found)
    lines += [
        f"quarantine until {entry.until}, since {entry.since}: {id}: {entry.reason}" for id, entry in entries.items()
    ]
    lines += ["", f"{rule.rates}; {rule.runs_needed} runs without a failure make a test stable"]
    return "\n".join(lines), 1 if any(one.decision == "flaky" for one in found) else 0


def _table(found: list[Judged]) -> list[str]:
    order = {"flaky": 0, "undecided": 1, "stable": 2}
    lines = []
    for one in sorted(found, key=lambda one: (order[one.decision], -one.failures, one.test)):
        errors = f"  ({one.errors} errors)" if one.errors else ""
        lines.append(f"{one.decision:10} {one.failures:3} of {one.runs:3} failed  {one.test}{errors}")
        lines += [f"{'':10} first: {one.first_failure}"] if one.first_failure else []
    return lines
