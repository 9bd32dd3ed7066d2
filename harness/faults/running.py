"""Runs the fault catalogue: a control run without a fault, then one run for each fault."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from rich.console import Console

from harness import cluster_records, progress, timeouts
from harness.cluster.choose import choose_cluster as choose_cluster
from harness.cluster.protocol import Cluster
from harness.command import run as run_program
from harness.errors import BadInput, CommandFailed, HarnessError, SetupFailed
from harness.evidence.rate_limit_window import seconds_left
from harness.faults import assertion_coverage, catalogue, fault_results, report
from harness.faults.catalogue import Fault
from harness.faults.fault_results import CatalogueResult, FaultResult, PytestResult, PytestRun
from harness.faults.forked_pytest import Forks
from harness.interruption import shielded
from harness.outcome import Outcome
from harness.settings import Settings, owner_pid
from harness.version_sets import VersionSet

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = ("hypothesispytest", "valkey", "anyio", "allure_pytest", "cacheprovider")  # plugins: 1 s of each start
_EMULATED_PATIENCE = 0.1  # delays are a 30th there; the control shows that this much is enough
_WITHIN = {"emulated": 240.0, "kind": 1800.0}  # seconds of one run, on a busy machine


class ResettableCluster(Protocol):
    """What the emulated cluster can do beside the others."""

    def mark(self) -> None: ...

    def reset(self) -> None: ...


class Catalogue:
    """Runs faults on the cluster that the settings ask for: an emulated one of its own, or the kind cluster as kept."""

    def __init__(self, settings: Settings, versions: VersionSet, out: Console) -> None:
        if settings.cluster not in _WITHIN:
            raise BadInput(
                f"faults are not planted in an {settings.cluster} cluster: they break it",
                remedy="use CLUSTER=emulated or CLUSTER=kind",
            )
        self._emulated = settings.cluster == "emulated"
        own = {"cluster_name": f"{settings.cluster_name[:34]}-faults"} if self._emulated else {}
        self._settings, self._versions, self._out = settings.model_copy(update=own), versions, out
        self._forks = Forks()
        self._folder = ROOT / settings.runs / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-faults-{settings.cluster}"

    def run(self, names: Sequence[str], third: int | None) -> int:
        """Exit code 0: all caught, all tests named, and without a fault nothing fails; 5: none can be judged here."""
        everything = catalogue.load_all()
        chosen = catalogue.choose_faults(everything, self._settings.cluster, names, third)
        whole = len(chosen) == sum(self._settings.cluster in fault.on for fault in everything)
        started = time.monotonic()
        with self._cluster() as cluster:
            listed = dict.fromkeys(id for fault in chosen for id in fault.caught_by)
            control = self._control(chosen, fault_results.areas_of(everything) if whole else [])
            asked = dict.fromkeys(verdict for id in listed for verdict in control.results_of(id))
            if spoiled := [verdict for verdict in asked if verdict.outcome in fault_results.SPOILED]:
                report.print_control_failure(self._out, spoiled)
                self._refuse_unusable(spoiled, control)
                return 1
            if self._emulated:
                cast(ResettableCluster, cluster).mark()
            judged = [fault for fault in chosen if self._judged(fault, control)]
            if not judged:
                return 5
            skipped = frozenset(verdict.id for verdict in control.verdicts if verdict.outcome == Outcome.SKIPPED)
            found = list(self._each(judged, cluster, skipped))
        result = self._result(everything, found, control, whole=whole, seconds=time.monotonic() - started)
        report.print_table(self._out, found)
        report.print_summary(self._out, result)
        report.write_reports(self._folder, result)
        self._out.print(f"run folder: {self._folder}", soft_wrap=True)
        return 1 if result.unnamed or any(finding.why_missed for finding in found) else 0

    def _result(
        self,
        everything: Sequence[Fault],
        found: Sequence[FaultResult],
        control: PytestRun,
        *,
        whole: bool,
        seconds: float,
    ) -> CatalogueResult:
        """What one run of the catalogue came to; a part of it reports nothing about what no fault reaches."""
        areas = fault_results.areas_of(everything)
        unjudged = (Outcome.SKIPPED, Outcome.NOT_RUN)
        ids = [verdict.id for verdict in control.verdicts if verdict.outcome not in unjudged]
        judged = {id.partition("[")[0] for id in ids}
        skipped = {verdict.id.partition("[")[0] for verdict in control.verdicts} - judged
        files = {id.partition("::")[0] for id in judged}  # in the others no fixture is asked either
        struck = [line for finding in found for line in finding.run.struck]
        assertions = [
            one
            for one in assertion_coverage.find_assertions(ROOT, areas)
            if one.file in files and one.test not in skipped
        ]
        unreached = assertion_coverage.unreached_assertions(assertions, struck) if whole else []
        folders = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("suites/*/test_*.py"))
        return CatalogueResult(
            found=tuple(found),
            unnamed=tuple(fault_results.tests_without_fault(ids, everything)),
            unreached=tuple(unreached),
            beyond=tuple(dict.fromkeys(folder for folder in folders if folder not in areas)),
            seconds=seconds,
        )

    @contextmanager
    def _cluster(self) -> Iterator[Cluster]:
        cluster = choose_cluster(self._settings, self._versions)
        kind, name, state = self._settings.cluster, self._settings.cluster_name, self._settings.state
        cluster_records.refuse_in_use(cluster_records.find_record(state, kind, name), f"{kind} cluster {name}")
        if not self._emulated:
            yield cluster
            return
        cluster.delete()  # what a killed catalogue left
        # It is this process's while it lasts, not that of the run which makes it: see `settings.owner_pid`.
        cluster_records.write_record(state, cluster_records.Record(kind, name, owner_pid(), time.time()))
        try:
            yield cluster
        finally:
            if self._settings.keep != "always":
                with shielded(lambda: progress.note("the cluster is being taken away; Ctrl-C once more leaves it")):
                    cluster.delete()

    def _refuse_unusable(self, spoiled: Sequence[PytestResult], control: PytestRun) -> None:
        """
        Raises:
            BadInput: what failed says nothing of any claim: there is no cluster, or it is broken already.
        """
        unusable = next((verdict for verdict in spoiled if verdict.outcome in (Outcome.ERROR, Outcome.NOT_RUN)), None)
        if unusable:
            why = unusable.first_line or control.tail.partition("\n")[0]
            raise BadInput(
                f"no fault was planted: without any the tests do not run on {self._settings.cluster}: {why}",
                remedy=f"see that `make e2e CLUSTER={self._settings.cluster}` holds first; {self._folder}/control",
            )

    def _control(self, chosen: Sequence[Fault], areas: Sequence[str]) -> PytestRun:
        """Their tests (or all of these areas) without any fault: what fails now proves nothing later."""
        started = time.monotonic()
        self._out.print(f"control: the tests of {len(chosen)} faults, without any ...")
        tests = areas or list(dict.fromkeys(test for fault in chosen for test in fault.tests))
        oracles = any(fault.oracles for fault in chosen)
        run = self._pytest("control", tests, within=_WITHIN[self._settings.cluster] * 4, oracles=oracles)
        if not run.verdicts:
            raise SetupFailed(f"the control run did not work: {run.tail}", remedy=f"see {self._folder}/control")
        held = sum(verdict.outcome == Outcome.HELD for verdict in run.verdicts)
        self._out.print(f"control: {held} of {len(run.verdicts)} tests hold, {time.monotonic() - started:.1f}s")
        return run

    def _within(self) -> float:
        """Seconds of one run. Tests of limits wait for the turn of the hour where it is near once they begin: the run
        has that time on top."""
        left, own = seconds_left(datetime.now(UTC), "Hour"), _WITHIN[self._settings.cluster]
        margin = timeouts.HOUR_MARGIN * self._patience
        return own + (min(left, margin) if left < margin + own else 0.0)

    @property
    def _patience(self) -> float:
        """The patience of each run: by default small on the emulated cluster."""
        asked = self._settings.patience
        return _EMULATED_PATIENCE if self._emulated and asked == 1 else asked

    def _reset(self, cluster: Cluster) -> None:
        """Puts the emulated cluster back; one that cannot be put back is deleted, and the next run creates another."""
        try:
            cast(ResettableCluster, cluster).reset()
        except HarnessError as error:
            self._out.print(f"  the emulated cluster is created again: {error}".partition("\n")[0], markup=False)
            cluster.delete()

    def _judged(self, fault: Fault, control: PytestRun) -> bool:
        """Whether any of its tests is judged here; where none is, that is reported, and the fault is not planted."""
        found = [verdict for listed in fault.caught_by for verdict in control.results_of(listed)]
        if found and all(verdict.outcome == Outcome.SKIPPED for verdict in found):
            self._out.print(f"not judged here: {fault.name}: {found[0].first_line}", markup=False, soft_wrap=True)
            return False
        return True

    def _each(self, chosen: Sequence[Fault], cluster: Cluster, skipped: frozenset[str]) -> Iterator[FaultResult]:
        for number, fault in enumerate(chosen, start=1):
            started = time.monotonic()
            within = self._within()
            try:
                run = self._pytest(fault.name, fault.tests, fault=fault.name, within=within, oracles=fault.oracles)
            except KeyboardInterrupt:
                self._tell_of(fault)
                raise
            if self._emulated:
                self._reset(cluster)
            finding = FaultResult(fault, run, time.monotonic() - started, skipped)
            report.print_fault(self._out, finding, number, len(chosen))
            yield finding
            if not self._emulated and not run.undone:
                raise SetupFailed(
                    f"fault {fault.name} was not undone: {run.trouble or run.tail}",
                    remedy="the cluster still has this fault: repair it, or run `make clean` and start again",
                )

    def _tell_of(self, fault: Fault) -> None:
        """What an interruption under a fault leaves, by the run's own last word: the kind cluster stays."""
        if self._emulated or fault_results.read_run(self._folder / fault.name, "").undone:
            return
        self._out.print(
            f"interrupted under fault {fault.name}, which may still be planted: the cluster is broken as faults/ says "
            "it.\n  remedy: repair it, or `make clean` and start again",
            markup=False, soft_wrap=True,
        )  # fmt: skip

    def _pytest(self, name: str, tests: Sequence[str], *, within: float, oracles: bool, fault: str = "") -> PytestRun:
        folder = self._folder / name
        arguments = ["--rootdir", str(ROOT), "-q"]
        arguments += [part for plugin in _LEFT_OUT for part in ("-p", f"no:{plugin}")]
        arguments += [str(ROOT / test) for test in tests]
        env = self._environment(folder, fault, oracles=oracles)
        if fault and self._emulated:
            return fault_results.read_run(
                folder, self._forks.run_pytest(arguments, env=env, folder=folder, within=within)
            )
        try:
            call = [sys.executable, "-m", "pytest", *arguments]
            ended = run_program(call, within=within, env=env, check=False, grace=timeouts.INNER_END)
            tail = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-12:])
        except CommandFailed as failed:
            tail = str(failed)
        return fault_results.read_run(folder, tail)

    def _environment(self, folder: Path, fault: str, *, oracles: bool) -> dict[str, str]:
        return {
            "E2E_OWNER": str(owner_pid()),
            "E2E_CLUSTER": self._settings.cluster,
            "E2E_CLUSTER_NAME": self._settings.cluster_name,
            "E2E_KEEP": "always",
            "E2E_GATHER": "false",
            "E2E_ORACLES": "on" if oracles else "off",  # unless asked for, they would report every trace of a fault
            "E2E_PATIENCE": str(self._patience),
            "E2E_RUNS": str(folder),
            "E2E_FAULT": str(catalogue.FOLDER / f"{fault}.yaml") if fault else "",
            "GITHUB_STEP_SUMMARY": "",  # these runs fail on purpose: not for a build's page
            # Modules are compiled once, also where the caller keeps Python from writing beside them: 1 s of each start.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self._settings.state / "pycache"),
        }
