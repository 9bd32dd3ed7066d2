"""Repeats tests until a sequential test decides, each time in a run of its own on one kept cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import progress, timeouts
from harness.command import run, running
from harness.errors import BadInput
from harness.history.sequential_test import Decision, SequentialTest
from harness.history.store import History, Past, latest_source
from harness.outcome import VERDICTS, Outcome
from harness.report.results_file import read_results, run_folders
from harness.settings import ROOT, ClusterKind
from harness.wait import pause

TIMES: Mapping[ClusterKind, int] = {"emulated": 20, "kind": 3, "existing": 3}
COUNTED = VERDICTS | {Outcome.INCONCLUSIVE}
Runner = Callable[[Sequence[str], Mapping[str, str]], int]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the history says of a test since it last changed: how often it was judged, how often it failed, the
    decision. `errors` are runs that ended in an error, which are not among `runs`."""

    test: str
    runs: int
    failures: int
    decision: Decision
    first_failure: str = ""
    errors: int = 0


def run_sequential_test(test: str, past: Sequence[Past], sequential: SequentialTest) -> Judged:
    """The decision on a test. An error is one of the cluster or the harness and, as skipped and not run, no outcome of
    the test; inconclusive is a failure: whoever runs it has to look."""
    latest = latest_source(past)
    counted = [one for one in latest if one.outcome in COUNTED]
    decision, _ = sequential.decide(one.outcome == Outcome.HELD for one in counted)
    bad = [one for one in counted if one.outcome != Outcome.HELD]
    why = f"{bad[0].started}: {bad[0].outcome}: {bad[0].reason.splitlines()[0] if bad[0].reason else ''}" if bad else ""
    errors = sum(one.outcome == Outcome.ERROR for one in latest)
    return Judged(test, len(counted), len(bad), decision, why, errors)


def repeat(
    tests: Sequence[str],
    times: int,
    history: History,
    cluster: ClusterKind,
    runner: Runner | None = None,
    sequential: SequentialTest | None = None,
) -> list[Judged]:
    """Runs tests up to so many times, adds each run to the history, and stops as soon as every test is decided. The
    cluster is kept between the runs and taken away at the end.

    Raises:
        BadInput: a run left no results, or ran none of the tests.
    """
    run_once, rule = runner or run_tests, sequential or SequentialTest()
    home = history.path.parent / "repeats"
    asked = [_id(test) for test in tests]
    env = {
        "E2E_CLUSTER": cluster,
        "E2E_CLUSTER_NAME": "repeat",
        "E2E_RUNS": str((home / "runs").resolve()),
        "E2E_STATE": str((home / "state").resolve()),
        "E2E_KEEP": "always",
        "E2E_KEEP_RUNS": "0",
        "E2E_KEEP_DAYS": "0",
    }
    (home / "runs").mkdir(parents=True, exist_ok=True)
    found: list[Judged] = []
    try:
        for number in range(1, times + 1):
            before = set(run_folders(home / "runs"))
            run_once(tests, env)
            made = [one for one in run_folders(home / "runs") if one not in before]
            ran = [one["id"] for one in read_results(made[-1])["tests"] if _belongs(one["id"], asked)] if made else []
            if not ran:
                raise BadInput(f"no test of {' '.join(tests)} ran", remedy=f"pytest {' '.join(tests)} shows why")
            history.add(made[-1])
            found = [run_sequential_test(test, history.of(test, cluster), rule) for test in ran]
            progress.note(f"run {number} of {times}: {', '.join(sorted({one.decision for one in found}))}")
            if found and all(one.decision != "undecided" for one in found):
                break
    finally:
        if (home / "state").is_dir() and runner is None:
            command = [sys.executable, "-m", "harness.cli", "clean"]
            run(command, env=env, within=timeouts.CLUSTER_DELETE + timeouts.INNER_END, check=False)
    return found


def run_tests(tests: Sequence[str], env: Mapping[str, str]) -> int:
    """One run of pytest in a process of its own."""
    with running([sys.executable, "-m", "pytest", *tests], env=env, grace=timeouts.INNER_END) as process:
        while process.is_running:
            pause(0.5, why="a repeated run")
        return process.code


def changed_tests(since: str, root: Path = ROOT) -> list[str]:
    """Files of suites that are new or changed since a Git revision, themselves or by their manifest.

    Raises:
        BadInput: Git does not know that revision.
    """
    asked = ["git", "-C", str(root), "diff", "--name-only", since, "--", "suites", "manifests"]
    changed, new = run(asked, check=False), run(["git", "-C", str(root), "status", "--porcelain"], check=False)
    if changed.code:
        raise BadInput(f"git does not know {since}: {changed.stderr.strip()[-200:]}", remedy="--changed-since main")
    untracked = [line[3:] for line in new.stdout.splitlines() if line.startswith("??")]
    return list(dict.fromkeys(_tests_of([*changed.stdout.splitlines(), *untracked], root)))


def _tests_of(names: Iterable[str], root: Path) -> Iterable[str]:
    for name in sorted(names):
        path = Path(name)
        if path.parts[:1] == ("suites",) and path.name.startswith("test_") and (root / path).exists():
            yield name
        if path.parts[:1] == ("manifests",) and len(path.parts) == 3:
            test = Path("suites", path.parts[1], f"test_{path.stem}.py")
            if (root / test).exists():
                yield str(test)


def _id(asked: str) -> str:
    """What was asked for, a path of this folder, as it begins a test's id."""
    return os.path.relpath(Path(asked).resolve(), ROOT)


def _belongs(test: str, asked: Iterable[str]) -> bool:
    """Whether a test id is among what was asked for: files, folders, or ids."""
    return any(test == one or test.startswith((f"{one}::", f"{one}/", f"{one}[")) for one in asked)
