"""Stored runs are judged again; what was altered in them by hand changes exactly the verdicts that rest on it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli, judge_again
from harness.errors import BadInput

RUNS = Path(__file__).resolve().parents[1] / "recordings" / "runs"
FILE = "suites/rate_limit/test_per_user.py"
Line = dict[str, Any]


def copied(run: str, into: Path, alter: Callable[[list[Line]], list[Line]]) -> Path:
    """The stored run with its records altered."""
    shutil.copytree(RUNS / run, into)
    packed = into / "records.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(packed.read_bytes()).splitlines()]
    packed.unlink()
    (into / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in alter(lines)))
    return into


def of(lines: list[Line], test: str, call: str) -> list[Line]:
    return [line for line in lines if line["in"] == f"test {FILE}::{test}" and line["call"] == call]


@pytest.mark.parametrize("run", sorted(folder.name for folder in RUNS.iterdir() if folder.is_dir()))
def test_stored_run_is_judged_the_same(run: str) -> None:
    """Every claim is judged again, and gets the verdict that it had."""
    found = judge_again.judge_run(RUNS / run)

    assert len(found.claims) >= 10
    assert [one for one in found.claims if one.state != "agrees"] == []
    assert f"{FILE}::test_quota_holds_over_all_replicas" in found.not_in_run


def test_altered_lines_change_the_verdicts_that_rest_on_them(tmp_path: Path) -> None:
    """A response flag, a status code and a counter that were altered break the claims about them; a call or an access
    line that was removed leaves its claim inconclusive; all others agree."""

    def alter(lines: list[Line]) -> list[Line]:
        calls = [line for line in lines if "call" in line]
        flagged = of(calls, "test_limiter_says_what_is_left", "ingress in turn")[0]["gave"][-1]["id"]
        removed = of(calls, "test_request_over_quota_gets_429", "ingress in turn")[0]["gave"][0]["id"]
        of(calls, "test_callers_have_quotas_of_their_own", "ingress in turn")[1]["gave"][1]["status"] = 429
        for text in (line["text"] for line in calls if line["call"] == "log" and "text" in line):
            for number, one in list(text["lines"].items()):
                if f"e2e/{flagged}" in one:
                    text["lines"][number] = one.replace('"RL"', '"-"')
                if f"e2e/{removed}" in one:
                    del text["lines"][number]
        counted = [line for line in calls if line["in"].endswith("::counted[0]")]
        sent = max(line["n"] for line in counted if line["call"] == "ingress in turn")
        after = [line for line in counted if line["call"] == "admin" and line["n"] > sent]
        for text in (line["text"] for line in after):
            text["lines"] = {n: raised(one) if "over_limit" in one else one for n, one in text["lines"].items()}
        lost = of(calls, "test_spent_caller_is_served_inside_the_mesh", "exec")[0]
        return [line for line in lines if line is not lost]

    def raised(sample: str) -> str:
        name, space, value = sample.rpartition(" ")
        return sample if sample.startswith("#") else f"{name}{space}{float(value) + 1:g}"

    found = judge_again.judge_run(copied("emulated-rate-limit", tmp_path / "run", alter))

    assert {one.id.partition("::")[2]: one.recomputed for one in found.differing} == {
        "test_limiter_says_what_is_left": "broken",
        "test_callers_have_quotas_of_their_own": "broken",
        "test_limiter_counts_every_request_and_refusal": "broken",
        "test_request_over_quota_gets_429": "inconclusive",
        "test_spent_caller_is_served_inside_the_mesh": "inconclusive",
    }
    assert found.unjudged == []
    lacking = next(one for one in found.differing if "inside_the_mesh" in one.id)
    assert "the run has no record of: exec default mesh-client" in lacking.why
    assert "held -> inconclusive" in judge_again.differences_as_text(found)


NEWER, LOST = (f"{FILE}::{name}" for name in ("test_limiter_holds_the_rule", "test_limiter_says_what_is_left"))


@pytest.fixture(scope="module")
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> judge_again.Judgement:
    """A run before the test NEWER was written, whose verdict on LOST is missing, and where a fixture's call was made
    in a thread."""

    def alter(lines: list[Line]) -> list[Line]:
        counted = next(line["in"] for line in lines if line.get("in", "").endswith("::counted[0]"))
        kept = [line for line in lines if line.get("in") != f"test {NEWER}"]
        return [*kept, {"n": len(lines) + 1, "in": counted, "lost": "get in a thread"}]

    run = copied("emulated-rate-limit", tmp_path_factory.mktemp("incomplete") / "run", alter)
    results = json.loads((run / "results.json").read_text())
    results["tests"] = [test for test in results["tests"] if test["id"] not in (NEWER, LOST)]
    (run / "results.json").write_text(json.dumps(results))
    return judge_again.judge_run(run)


def test_a_test_without_a_verdict_differs_only_if_the_run_recorded_its_calls(incomplete: judge_again.Judgement) -> None:
    """A test that is newer than the run is "not in this run"; one whose verdict was lost is not passed over."""
    assert [(one.id, one.recorded, one.recomputed) for one in incomplete.differing] == [(LOST, "no verdict", "held")]
    assert NEWER in incomplete.not_in_run
    assert LOST not in incomplete.not_in_run
    assert f"{NEWER}: not in this run" in judge_again.differences_as_text(incomplete)
    assert json.loads(judge_again.judgement_as_json(incomplete))["not_in_run"] == incomplete.not_in_run


def test_all_claims_on_a_fixture_that_cannot_be_judged_are_not_judged_again(incomplete: judge_again.Judgement) -> None:
    """Not only the first one, for which the fixture is set up; none of them differs."""
    assert {one.id.partition("::")[2]: one.why.rpartition(": ")[2] for one in incomplete.unjudged} == dict.fromkeys(
        (
            "test_limiter_counts_every_request_and_refusal",
            "test_admin_is_exempt",
            "test_caller_without_a_name_is_exempt",
        ),
        "get in a thread",
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: shutil.rmtree(run), "is not a run folder"),
        (lambda run: (run / "records.jsonl.gz").unlink(), "has no records.jsonl"),
        (lambda run: (run / "results.json").unlink(), "has no results.json"),
        (lambda run: (run / "records.jsonl").write_text('{"schema": "mesh-e2e/records/v9"}\n'), "this mesh-e2e reads"),
        (lambda run: (run / "records.jsonl").write_text('{"n": 1, "sche'), "line 1, cannot be read"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    spoil: Callable[[Path], object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one sentence and its remedy."""
    run = shutil.copytree(RUNS / "emulated-rate-limit", tmp_path / "run")
    spoil(run)

    with pytest.raises(BadInput, match=message):
        judge_again.judge_run(run)
    assert cli.main(["judge", str(run)]) == 2
    assert "remedy: " in capsys.readouterr().err


def test_differences_end_with_1_and_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each claim that differs, the totals, and exit code 1; 0 where all agree."""
    differs = judge_again.Judged("a.py::test_a", "A holds.", "held", "broken", "differs", "assert 1 == 2")
    agrees = judge_again.Judged("a.py::test_b", "B holds.", "held", "held", "agrees")
    monkeypatch.setattr(judge_again, "judge_run", lambda run: judge_again.Judgement([differs, agrees]))

    assert cli.main(["judge", "x"]) == 1
    out = capsys.readouterr().out
    assert "a.py::test_a: held -> broken: assert 1 == 2" in out
    assert "2 claims: 1 agree, 1 differ, 0 not judged again" in out

    monkeypatch.setattr(judge_again, "judge_run", lambda run: judge_again.Judgement([agrees]))
    assert cli.main(["judge", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["state"] == "agrees"
