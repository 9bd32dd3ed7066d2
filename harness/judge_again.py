"""Judges a recorded run again, without a cluster, and compares the verdicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

from harness import command, settings, timeouts
from harness.cluster_call_records import Records
from harness.errors import NEVER_RECORDED, BadInput, SetupFailed
from harness.outcome import NOT_TRIED, Outcome
from harness.report.results_file import read_results

ORACLES = "::oracles"
# Plugins that a run on records does not need: importing them takes a sixth of the time of a short one.
UNUSED_PLUGINS = ("allure_pytest", "anyio", "hypothesispytest", "pytest-kind", "valkey")


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim: its verdict in the run, and now. `state` is "not judged again" where the run cannot show it: `why`
    says the reason; of a claim that differs, `why` is the first line of the new verdict's reason."""

    id: str
    claim: str
    recorded: str
    recomputed: str
    state: Literal["agrees", "differs", "not judged again"]
    why: str = ""


class Judgement(NamedTuple):
    """All claims of a run, in its order; and of the same files, the tests that were not in the run: newer than it, or
    not selected."""

    claims: Sequence[Judged]
    not_in_run: Sequence[str] = ()

    @property
    def differing(self) -> list[Judged]:
        return [one for one in self.claims if one.state == "differs"]

    @property
    def unjudged(self) -> list[Judged]:
        return [one for one in self.claims if one.state == "not judged again"]


def compare_verdicts(run: Path, again: Sequence[dict[str, Any]]) -> Judgement:
    """Compares the verdicts of a run's results.json with those recomputed, in the form of its `tests`.

    Raises:
        BadInput: results.json cannot be read, or is of another format.
    """
    now, recorded = {test["id"]: test for test in again}, _results(run)
    lost = [test for id, test in now.items() if id not in {one["id"] for one in recorded}]
    return Judgement([*(_compared(test, now.get(test["id"])) for test in recorded), *map(_lost, lost)])


def judge_run(run: Path) -> Judgement:
    """Recomputes the verdict of each claim of the run in this folder.

    Raises:
        BadInput: it is not the folder of a finished run, or its format is not ours; or nothing can be judged again.
        SetupFailed: the tests could not be run on it.
    """
    run = run.resolve()
    records, recorded = Records(run), _results(run)
    files = dict.fromkeys(test["id"].partition("::")[0] for test in recorded)
    there = [file for file in files if file.endswith(".py") and (settings.ROOT / file).is_file()]
    if not there:
        raise BadInput(
            f"none of the test files of {run} exists here", remedy="judge it with the mesh-e2e that wrote it"
        )
    again = {test["id"]: test for test in _again(run, records, there)}
    known = {test["id"] for test in recorded}
    others = [test for test in again.values() if test["id"] not in known and not test["id"].endswith(ORACLES)]
    lost = [test for test in others if f"test {test['id']}" in records.scopes]
    absent = [test["id"] for test in others if test not in lost]
    found = Judgement([*(_compared(test, again.get(test["id"])) for test in recorded), *map(_lost, lost)], absent)
    if len(found.unjudged) == len(found.claims):
        why = found.claims[0].why if found.claims else "it has no claims"
        raise BadInput(f"nothing of {run} can be judged again: {why}", remedy="run the suites again")
    return found


def differences_as_text(found: Judgement) -> str:
    """One line for each claim that differs, for each that was not judged again and for each test that was not in the
    run, then the totals."""
    lines = [f"{one.id}: {one.recorded} -> {one.recomputed}: {one.why}\n  {one.claim}" for one in found.differing]
    lines += [f"{one.id}: {one.recorded}, not judged again: {one.why}" for one in found.unjudged]
    lines += [f"{one}: not in this run" for one in found.not_in_run]
    agree = len(found.claims) - len(found.differing) - len(found.unjudged)
    totals = f"{agree} agree, {len(found.differing)} differ, {len(found.unjudged)} not judged again"
    return "\n".join([*lines, f"{len(found.claims)} claims: {totals}"])


def judgement_as_json(found: Judgement) -> str:
    """{claims: [{id, claim, recorded, recomputed, state, why}], not_in_run: [id]}"""
    claims = [asdict(one) for one in found.claims]
    return json.dumps({"claims": claims, "not_in_run": list(found.not_in_run)}, indent=1)


def _compared(test: dict[str, Any], again: dict[str, Any] | None) -> Judged:
    now = str(again["outcome"]) if again else ""
    why = (str(again["reason"]) if again else "").partition("\n")[0].removeprefix("NotRecorded: ")
    if test["outcome"] in NOT_TRIED:
        state, why = "not judged again", f"{test['outcome']} in the run"
    elif test["id"].endswith(ORACLES):
        state, why = "not judged again", "what the oracles read is not recorded"
    elif again is None:
        state, why = "not judged again", "the test is not here"
    elif NEVER_RECORDED in str(again["reason"]):
        state = "not judged again"
    elif now in NOT_TRIED | {Outcome.ERROR} and now != test["outcome"]:
        state, why = "differs", why or "no reason given"
    else:
        state = "agrees" if now == test["outcome"] else "differs"
    return Judged(test["id"], test["claim"], test["outcome"], now, state, why if state != "agrees" else "")  # type: ignore[arg-type]  # one of the three


def _lost(test: dict[str, Any]) -> Judged:
    """A test that the run has records of, and whose verdict results.json lacks."""
    why = "the run has records of this test, and results.json has no verdict of it"
    return Judged(test["id"], test["claim"], "no verdict", str(test["outcome"]), "differs", why)


def _results(run: Path) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = read_results(run)["tests"]
    return [test for test in tests if "::" in test["id"] and not test["claim"].startswith("teardown after: ")]


def _again(run: Path, records: Records, files: Sequence[str]) -> list[dict[str, Any]]:
    """The tests of a run on the records, as results.json has them."""
    asked = {name: value for name, value in records.asked.items() if value not in ("", None)}
    if not records.cluster:
        raise BadInput(f"{run}: its cluster could not be created, so nothing was judged", remedy="run the suites again")
    ours = {f"E2E_{name.upper()}": str(value) for name, value in asked.items()}
    ours |= {"E2E_GATHER": "false", "E2E_ORACLES": "off", "CI": "", "GITHUB_RUN_ID": "", "GITHUB_STEP_SUMMARY": ""}
    with TemporaryDirectory() as folder:
        options = ["-p", "no:cacheprovider", "--records", str(run), "--runs", folder, "--import-mode=importlib"]
        options += [word for name in UNUSED_PLUGINS for word in ("-p", f"no:{name}")]
        call = [sys.executable, "-m", "pytest", *options, *(str(settings.ROOT / file) for file in files)]
        ended = command.run(call, within=timeouts.JUDGE, env=settings.without_settings() | ours, check=False)
        try:
            tests: list[dict[str, Any]] = json.loads((Path(folder) / "latest" / "results.json").read_text())["tests"]
        except (OSError, ValueError):
            last = "\n".join(f"{ended.stdout}\n{ended.stderr}".strip().splitlines()[-8:])
            raise SetupFailed(f"the tests could not be run on the records of {run}:\n{last}") from None
    return [test for test in tests if not test["claim"].startswith("teardown after: ")]
