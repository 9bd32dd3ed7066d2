"""History: outcomes in one database, decisions with stated error rates, quarantine with reason and dates, repeats."""

import json
import random
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.errors import BadInput
from harness.history import quarantine, repeating
from harness.history.quarantine import Entry, Quarantine
from harness.history.repeating import changed_tests, repeat, run_sequential_test
from harness.history.sequential_test import SequentialTest
from harness.history.store import History, latest_source
from harness.outcome import Outcome
from harness.report.results import ClaimResult
from harness.settings import ROOT

RULE = SequentialTest()
TEST = "suites/ingress/test_gateway.py::test_page"


def run_folder(root: Path, number: int, outcome: str = "held", source: str = "a", **change: Any) -> Path:
    """A run folder with one test."""
    folder = root / f"run-{number:03}"
    folder.mkdir(parents=True)
    tests = [{"id": TEST, "outcome": outcome, "seconds": 1.5, "reason": "" if outcome == "held" else "it did not"}]
    results = {
        "schema": "mesh-e2e/results/v1", "tests": tests, "counts": {outcome: 1}, "set": "s",
        "started": f"2026-11-27T{number:03}", "versions": {"istio": "1.29.1"},
        "cluster": {"kind": "emulated", "name": "n"},
        "sources": {"suites/ingress/test_gateway.py": source},
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results | change))
    return folder


def test_twenty_clean_runs_make_a_test_stable() -> None:
    """With the default rates; the next failure does not change what was decided."""
    assert RULE.runs_needed == 20
    assert RULE.decide([True] * 19) == ("undecided", 19)
    assert RULE.decide([True] * 20 + [False] * 9) == ("stable", 20)
    assert RULE.decide([False, False]) == ("flaky", 2)
    assert RULE.decide([True, True, False]) == ("undecided", 3)
    assert RULE.decide([]) == ("undecided", 0)


@pytest.mark.parametrize(
    ("chance", "wrong", "bound"), [(RULE.rare, "flaky", RULE.alpha), (RULE.often, "stable", RULE.beta)]
)
def test_error_rates_are_those_that_are_stated(chance: float, wrong: str, bound: float) -> None:
    """Of tests that fail with the stated probability, no more are decided wrongly (4,000 simulated tests)."""
    luck = random.Random(1)
    decided = [RULE.decide(luck.random() >= chance for _ in range(3000))[0] for _ in range(4000)]

    assert decided.count(wrong) / len(decided) <= bound * 1.1
    assert decided.count("undecided") == 0


def test_runs_are_added_once(tmp_path: Path) -> None:
    """A run folder is known by its start and cluster; adding it again changes nothing."""
    history = History(tmp_path / "h.db")

    assert [history.add(run_folder(tmp_path / "a", 1)), history.add(tmp_path / "a/run-001")] == [True, False]
    assert history.tests() == [TEST]
    assert [(one.outcome, one.cluster, one.seconds) for one in history.of(TEST)] == [("held", "emulated", 1.5)]
    assert history.of(TEST, "kind") == []


def test_changed_test_begins_anew(tmp_path: Path) -> None:
    """Outcomes of before the file or its manifest changed do not count."""
    history = History(tmp_path / "h.db")
    for number, (outcome, source) in enumerate(
        [("broken", "old"), ("held", "new"), ("skipped", "new"), ("held", "new")]
    ):
        history.add(run_folder(tmp_path / "runs", number, outcome, source))
    past = history.of(TEST)

    assert len(latest_source(past)) == 3
    assert latest_source([]) == []
    found = run_sequential_test(TEST, past, RULE)
    assert (found.runs, found.failures, found.decision) == (2, 0, "undecided")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not a database, but a text that is long enough to be taken for one" * 9, "file is not a database"),
        (9, "is of format 9, this mesh-e2e reads 1"),
    ],
)
def test_database_that_is_none(tmp_path: Path, content: Any, why: str) -> None:
    """Another file and a newer format are refused and not written."""
    file = tmp_path / "h.db"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with sqlite3.connect(file) as base:
            base.execute(f"PRAGMA user_version = {content}")
    before = file.read_bytes()

    with pytest.raises(BadInput, match=why):
        History(file).add(run_folder(tmp_path, 1))

    assert file.read_bytes() == before


def test_error_of_the_cluster_is_no_flake(tmp_path: Path) -> None:
    """A run whose cluster did not start says nothing of its tests; it is counted apart."""
    history = History(tmp_path / "h.db")
    for number, outcome in enumerate(["held", "error", "error", "error"]):
        history.add(run_folder(tmp_path / "runs", number, outcome))
    found = run_sequential_test(TEST, history.of(TEST), RULE)

    assert (found.runs, found.failures, found.errors, found.decision) == (1, 0, 3, "undecided")


def test_command_shows_what_is_flaky(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A flaky test fails the command and is named with its first failure; the rates are stated."""
    for number, outcome in enumerate(["broken", "broken"]):
        run_folder(tmp_path / "runs", number, outcome)
    base = ["history", "--database", str(tmp_path / "h.db")]

    assert cli.main([*base, "add", str(tmp_path / "runs")]) == 0
    assert cli.main([*base, "show"]) == 1
    printed = capsys.readouterr().out
    assert f"flaky        2 of   2 failed  {TEST}" in printed
    assert "first: 2026-11-27T000: broken: it did not" in printed
    assert "stable: fails in at most 1% of runs (wrong in 5%)" in printed
    assert cli.main([*base, "show", TEST]) == 0


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["history", "show"], "no history in"),
        (["history", "add", "nowhere"], "nowhere is not a folder"),
        (["repeat"], "no test is named"),
        (["repeat", "--changed-since", "no-such-revision"], "git does not know no-such-revision"),
    ],
)
def test_bad_input(
    argv: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    monkeypatch.chdir(tmp_path)

    assert cli.main(argv) == 2
    assert why in capsys.readouterr().err.replace("\n", " ")


class Runs:
    """A runner that leaves a run folder each time, with these outcomes in turn."""

    def __init__(self, *outcomes: str) -> None:
        self.outcomes, self.count = outcomes, 0

    def __call__(self, tests: Sequence[str], env: Mapping[str, str]) -> int:
        outcome = self.outcomes[self.count % len(self.outcomes)]
        self.count += 1
        run_folder(Path(env["E2E_RUNS"]), self.count, outcome)
        return 0


@pytest.mark.parametrize(("outcome", "ran", "decision"), [("held", 20, "stable"), ("broken", 2, "flaky")])
def test_repeats_end_with_the_decision(tmp_path: Path, outcome: str, ran: int, decision: str) -> None:
    """A test is run until it is decided, and no more."""
    runner = Runs(outcome)
    found = repeat([TEST], 40, History(tmp_path / "h.db"), "emulated", runner)

    assert [(one.decision, one.runs) for one in found] == [(decision, ran)]
    assert runner.count == ran


def test_repeats_are_bounded(tmp_path: Path) -> None:
    """A test that is not decided after so many runs is undecided."""
    runner = Runs("held")
    found = repeat([TEST], 3, History(tmp_path / "h.db"), "emulated", runner)

    assert (runner.count, found[0].decision) == (3, "undecided")


def test_repeats_end_where_nothing_runs(tmp_path: Path) -> None:
    """A test that is not found is not repeated, and its outcomes of earlier runs do not stand in for it."""
    history, runner = History(tmp_path / "h.db"), Runs("held")
    history.add(run_folder(tmp_path / "before", 100))

    with pytest.raises(BadInput, match=r"no test of suites/ingress/test_gatewy\.py ran"):
        repeat(["suites/ingress/test_gatewy.py"], 20, history, "emulated", runner)
    assert runner.count == 1


def test_path_from_anywhere_names_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the folder in which the command runs, or absolute."""
    monkeypatch.chdir(ROOT / "suites")

    for number, path in enumerate(["ingress/test_gateway.py", str(ROOT / "suites/ingress"), f"../{TEST}"]):
        (one,) = repeat([path], 1, History(tmp_path / f"{number}" / "h.db"), "emulated", Runs("held"))
        assert (one.test, one.runs) == (TEST, 1)


@pytest.mark.parametrize(("outcomes", "code"), [(["error"] * 3, 1), (["error", "held", "error"], 0), (["skipped"], 0)])
def test_errors_alone_fail_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[str], code: int
) -> None:
    """A test that was never judged because its cluster or the harness failed each time was not repeated."""
    monkeypatch.setenv("E2E_CLUSTER", "emulated")
    monkeypatch.setattr(repeating, "run_tests", Runs(*outcomes))
    monkeypatch.setattr(repeating, "run", lambda *_, **__: None)  # `mesh-e2e clean`

    assert cli.main(["repeat", "--times", "3", "--database", str(tmp_path / "h.db"), str(ROOT / TEST)]) == code


def test_changed_tests_are_found_by_git(tmp_path: Path) -> None:
    """A changed test file, a new one, and the test of a changed manifest; deleted files and helpers are none."""

    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True)

    for name in (
        "suites/a/test_one.py",
        "suites/a/test_two.py",
        "suites/a/conftest.py",
        "manifests/a/two.yaml",
        "suites/a/test_gone.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "a")
    (tmp_path / "suites/a/test_gone.py").unlink()
    (tmp_path / "manifests/a/two.yaml").write_text("2\n")
    (tmp_path / "suites/a/conftest.py").write_text("2\n")
    (tmp_path / "suites/a/test_new.py").write_text("2\n")

    assert changed_tests("HEAD", tmp_path) == ["suites/a/test_two.py", "suites/a/test_new.py"]


def verdict(outcome: Outcome, id: str = TEST) -> ClaimResult:
    return ClaimResult(id, "ingress", "The page returns 200.", outcome)


ENTRY = Entry(reason="fails once in fifty runs, issue 15", since=date(2026, 11, 1), until=date(2026, 12, 1))


@pytest.mark.parametrize(
    ("verdicts", "today", "excused", "line"),
    [
        ([verdict("broken")], date(2026, 11, 27), True, "quarantine (until 2026-12-01, since 2026-11-01)"),
        ([verdict("broken")], date(2026, 12, 2), False, "quarantine (over since 2026-12-01"),
        ([verdict("broken"), verdict("broken", "other")], date(2026, 11, 27), False, TEST),
        ([verdict("held"), verdict("held", "other")], date(2026, 11, 27), True, "held: fails once in fifty runs"),
    ],
)
def test_quarantine_excuses_its_tests_for_a_while(
    verdicts: list[ClaimResult], today: date, excused: bool, line: str
) -> None:
    """Only its own tests, only until its date; each that ran is shown with its reason."""
    found, lines = Quarantine(tests={TEST: ENTRY}).excuses(verdicts, today)

    assert found == excused
    assert line in lines[0]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{since: 2026-11-01, until: 2026-12-01}", "reason is missing"),
        ("{reason: flaky, since: 2026-11-01, until: 2026-12-01}", "fewer than 10 characters"),
        ("{reason: fails sometimes, since: 2026-11-01, until: 2027-11-01}", "not 1 to 90 days"),
        ("{reason: fails sometimes, since: 2026-11-01}", "until is missing"),
    ],
)
def test_quarantine_needs_reason_and_dates(tmp_path: Path, entry: str, why: str) -> None:
    """An entry without them is refused."""
    (tmp_path / "q.yaml").write_text(f"tests:\n  a::b: {entry}\n")

    with pytest.raises(BadInput, match=why):
        quarantine.load(tmp_path / "q.yaml")


def test_quarantined_tests_exist() -> None:
    """quarantine.yaml names tests of the suites by file and function, and no entry is over."""
    root = quarantine.FILE.parent
    names = [id.partition("[")[0].split("::") for id in quarantine.load().tests]

    assert [name for name in names if f"def {name[1]}(" not in (root / name[0]).read_text()] == []
