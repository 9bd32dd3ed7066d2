"""The command `mesh-e2e record`: runs the article's suites on a cluster, and records it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from harness import cluster_records, timeouts
from harness.command import running
from harness.errors import BadInput, SetupFailed
from harness.recordings.from_run import record_run
from harness.settings import ROOT, Settings
from harness.wait import pause

SUITES = ("suites/ingress", "suites/rate_limit", "suites/waypoint", "suites/circuit_breaker")
_LAST = 30  # lines of the run's output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `mesh-e2e record` takes."""
    parser.add_argument("tests", nargs="*", default=list(SUITES), help="what is run meanwhile (default: the article)")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="a run that was on a real cluster, in place of one")
    parser.add_argument("--into", type=Path, default=ROOT / "tests" / "recordings", help="the folder of the recordings")


def run(asked: argparse.Namespace, chosen: Settings) -> str:
    """Records the cluster that is chosen, or was a run's, and returns which files were written.

    Raises:
        BadInput: there is no such cluster, or run, or it is emulated.
        SetupFailed: the run did not hold: what a broken cluster writes is no recording of its versions.
    """
    if asked.run:
        return _described([record_run(asked.run, asked.into)])
    check_running(chosen)
    began = time.time() - 1  # file systems round
    env = {"E2E_RECORD": str(asked.into.resolve()), "E2E_KEEP": "always"}
    with running([sys.executable, "-m", "pytest", *asked.tests], env=env, grace=timeouts.INNER_END) as suites:
        while suites.is_running:
            pause(0.5, why="the suites run")
    made = [file.parent for file in asked.into.glob("*/provenance.yaml") if file.stat().st_mtime >= began]
    if suites.code or not made:
        what = f"the suites did not hold, exit {suites.code}" if suites.code else "the run wrote no recording"
        tail = "\n".join(suites.lines[-_LAST:])
        raise SetupFailed(f"nothing was recorded: {what}; its last lines:\n{tail}")
    return _described(made)


def _described(folders: Iterable[Path]) -> str:
    files = sorted(file for folder in folders for file in folder.iterdir())
    return "\n".join(f"{file} ({file.stat().st_size} bytes)" for file in files)


def check_running(chosen: Settings) -> None:
    """
    Raises:
        BadInput: no cluster runs that could be recorded.
    """
    if chosen.cluster == "emulated":
        raise BadInput("an emulated cluster writes what was recorded of real ones", remedy="CLUSTER=kind or existing")
    if chosen.cluster == "kind" and cluster_records.find_record(chosen.state, "kind", chosen.cluster_name) is None:
        raise BadInput(
            f"there is no cluster to record: kind cluster {chosen.cluster_name} does not run",
            remedy="make e2e KEEP=always makes one that stays; or CLUSTER=existing CONTEXT=name",
        )
    if chosen.cluster == "existing" and not chosen.context:
        raise BadInput(
            "there is no cluster to record: CLUSTER=existing needs a context",
            remedy="CONTEXT=name (`kubectl config get-contexts`)",
        )
