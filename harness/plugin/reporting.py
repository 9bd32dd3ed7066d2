"""Pytest hooks that turn a test's phases into verdicts, evidence, live lines and reports.

Works only in a run (`options.is_run`). One class, though long: its hooks are one item's phases and share what they
know; what is written and shown at the end is in `ending`. The fixtures and this module meet in `config.stash`:

    RUN         this run's Reporting: `.facts` and `.observed` (to be filled), `.folder`, `.gather(error)`
    FAILED      whether anything has failed so far, for --keep on-failure
    GATHERER    set by the fixtures: Callable[[Path, str], None], writes diagnostics below a folder, for a reason
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from harness import chosen_versions, observations, progress, settings
from harness.errors import BadInput
from harness.history import quarantine
from harness.interruption import exit_code
from harness.plugin import artifacts, final_status, outcomes, support_marks
from harness.plugin.final_reports import SessionFinish
from harness.plugin.options import UsageError, is_run, runs_folder, settings_of
from harness.report import allure, claims_by_area, failure_text, results
from harness.report.claim_results import ClaimResults, claim_of
from harness.report.live import Live, own_stdout
from harness.report.redact import redact
from harness.report.results import PLANTED, UPGRADE_TO, RunResult, properties, versions_known, versions_line
from harness.report.run_folder import RunFolder
from harness.version_differences import outside

GATHERER = artifacts.GATHERER
CAUSES = artifacts.CAUSES
FAILED = pytest.StashKey[bool]()
RUN = pytest.StashKey["Reporting"]()
NAME = "mesh_e2e_reporting"


@pytest.hookimpl(tryfirst=True)  # before the JUnit and Allure plugins read where to write
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended(feature): a claim beyond the article, reported under its feature")
    config.addinivalue_line(
        "markers", "needs(capability): what a cluster must be able to judge; else a skip, with reason"
    )
    config.addinivalue_line("markers", support_marks.HELP)
    config.addinivalue_line("markers", "changes(difference): only upgrades that cross it (version_differences.yaml)")
    config.addinivalue_line("markers", "keeps(difference): only upgrades that do not cross it")
    config.addinivalue_line("markers", "one_witness(why): requests that only one component can see")
    config.stash[FAILED] = False
    if not is_run(config) or hasattr(config, "workerinput"):
        return
    try:
        if config.getoption("numprocesses", default=None):
            raise BadInput("suites share one cluster and its limits: they run one after another", remedy="leave -n out")
        reporting = Reporting(config)
    except BadInput as error:
        raise UsageError(error) from None
    config.stash[RUN] = reporting
    config.pluginmanager.register(reporting, NAME)
    config.pluginmanager.register(SessionFinish(config, reporting), f"{NAME}_ending")


def pytest_unconfigure(config: pytest.Config) -> None:
    reporting = config.stash.get(RUN, None)
    if reporting is not None:
        reporting.close()
        config.pluginmanager.unregister(name=f"{NAME}_ending")
        config.pluginmanager.unregister(name=NAME)
        del config.stash[RUN]


class Reporting:
    """One run's record. Raises BadInput when made, if the run cannot be done or kept as asked."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = settings_of(config)
        if config.getoption("--conformance"):
            claims_by_area.refuse_emulated(self.settings.cluster)
        self.set = chosen_versions.version_set(self.settings)
        self.quarantine = quarantine.load()
        self.started = datetime.now(UTC)
        self.folder = RunFolder.create(
            runs_folder(config),
            cluster=self.settings.cluster,
            set_name=self.set.name,
            now=self.started,
            keep=self.settings.keep_runs,
        )
        self.remarks = [*settings.unused_variables(), *self.set.remarks]
        self.sources: dict[str, str] = {}
        self.facts: dict[str, str] = {PLANTED: self.settings.fault.stem} if self.settings.fault else {}
        self.facts |= {UPGRADE_TO: self.settings.upgrade_to} if self.settings.upgrade_to else {}
        self.observed: dict[str, str] = {}  # versions by component, as they run
        self._default_outputs()
        self.book = ClaimResults()
        self.evidence = artifacts.Artifacts(config, self.folder)
        self.why = ""
        self.interrupted = 0  # the exit status, once that is why the run ends
        self.standing = ExitStack()  # what takes the cluster away: closed by its fixture, or else at the session's end
        self._item: pytest.Item | None = None
        self._depth, self._shared_seconds = 0, 0.0  # session fixtures being set up; their seconds in this test
        self._quiet = False
        self.deselected, self._total = 0, 0
        self._file, self._owned = own_stdout()
        self.live = Live(self._file, moving=self._file.isatty() and not settings.is_ci())
        self._steps = allure.steps()
        progress.PROGRESS.listeners.append(self._steps)

    def close(self) -> None:
        """Stops listening. The ledger's page is the session's again."""
        self.live.close()
        progress.PROGRESS.listeners.remove(self._steps)
        observations.open_page("")
        if self._owned:
            self._file.close()

    def _default_outputs(self) -> None:
        option = self.config.option
        if getattr(option, "xmlpath", "") is None:
            option.xmlpath = str(self.folder.junit)
        if getattr(option, "allure_report_dir", "") is None:
            option.allure_report_dir = str(self.folder.allure)

    @property
    def versions(self) -> dict[str, str]:
        return versions_known(self.set, self.observed | self.facts, ours=self.settings.cluster != "existing")

    def gather(self, error: BaseException) -> None:
        """For a session fixture that fails and will undo what it made before pytest can tell us: gathers at once. Not
        for bad input: then nothing was made, and what is there may be another run's."""
        self.config.stash[FAILED] = True
        if not isinstance(error, BadInput):
            self.evidence.gather_setup(error)

    # What is printed at the start

    def pytest_report_header(self) -> list[str]:
        remarks = [f"note: {remark}" for remark in self.remarks]
        return [*remarks, self.result(0).headline, f"run folder: {self.evidence.display_path(self.folder.path)}"]

    def pytest_sessionstart(self) -> None:
        terminal = self._terminal
        if terminal is not None:
            terminal.showfspath = False  # the line a test is ours
            terminal.reportchars = ""  # and so is the table at the end

    # Which tests there are

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        area = self.evidence.area(self.config.rootpath / report.nodeid.partition("::")[0])
        if report.failed:
            self.config.stash[FAILED] = True
            found = str(report.longrepr).strip()
            self.book.add_extra(report.nodeid, area=area, claim="(collection)", outcome="error", reason=found)
        elif report.skipped:
            why = outcomes.skip_reason(report)
            self.book.add_extra(report.nodeid, area=area, claim="(all of the file)", outcome="skipped", reason=why)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)
        self.sources = final_status.digests({item.path for item in session.items}, self.config.rootpath)
        for item in session.items:
            mark, row = item.get_closest_marker("extended"), support_marks.row_of(item)
            self.book.expect(
                item.nodeid,
                area=self.evidence.area(item.path),
                claim=claim_of(getattr(item, "obj", None), item.name),
                feature=row.feature if row else str(mark.args[0]) if mark and mark.args else "",
                place=row.place if row else "",
                means=row.means if row else "",
            )

    # Whose page the ledger is open at

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._item, self._shared_seconds = item, 0.0
        terminal = self._terminal
        if terminal is not None:
            terminal.flush()  # what the stages show meanwhile goes out by another buffer
        observations.open_page(item.nodeid)
        result = yield
        observations.open_page("")  # not on an interrupt: what is gathered then belongs to this test
        self._item = None
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """A session fixture's sightings and seconds are the session's, not those of the test that asked first."""
        if fixturedef.scope != "session" or self._depth or self._item is None:
            return (yield)
        observations.open_page("")
        self._depth, begun = 1, time.monotonic()
        try:
            return (yield)
        except UsageError as refused:
            self.why = f"bad input: {refused.error}"
            raise UsageError(refused.error, printed=True) from None
        finally:
            self._depth = 0
            self._shared_seconds += time.monotonic() - begun
            observations.open_page(self._item.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Before anything is undone, and before Allure closes its books on this test."""
        page, known = observations.page(item.nodeid), self.book.result_of(item.nodeid)
        allure.describe(claim=known.claim, area=known.area, cluster=self.settings.cluster, versions=self.versions)
        allure.attach(page.attachments)
        if page.sightings:
            seen = "\n".join(failure_text.witness_lines(page.sightings))
            allure.attach([observations.Attachment("witnesses.txt", seen)])
        return (yield)

    # Phases to verdicts

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside Allure's, which reads the text that is made here
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.when == "teardown":
            self.book.entry(item.nodeid).evidence = self.evidence.keep(item)
            item.user_properties += properties(self.book.result_of(item.nodeid), self.cluster, self.versions)
        report = yield
        if report.failed and call.excinfo is not None and report.when is not None:
            entry, error = self.book.entry(item.nodeid), call.excinfo.value
            found = redact(call.excinfo.exconly(tryshort=True))
            entry.judged[report.when] = (
                outcomes.outcome_of(error, report.when),
                found,
            )  # already: an interrupt may come now
            failure = self.evidence.failure(item, call.excinfo, report, claim=entry.claim, versions=self._versions_line)
            found = redact(failure_text.with_causes(failure.found, failure.causes))
            entry.judged[report.when] = outcomes.outcome_of(error, report.when), found
            shown = outcomes.FailureRepr(failure, report.longrepr)
            report.longrepr = shown  # type: ignore[assignment]  # pytest asks of it what this class has: see there
            self.evidence.write(item, "failure.txt", f"{shown}\n\n{call.excinfo.getrepr(style='native')}\n")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        self._quiet = True
        self.config.stash[FAILED] |= report.failed
        try:
            result = yield
        finally:
            self._quiet = False
        if type(report) is not pytest.TestReport:  # a subtest: its failure is the test's as well
            return result
        shared, self._shared_seconds = (self._shared_seconds, 0.0) if report.when == "setup" else (0.0, 0.0)
        self.book.report(
            report.nodeid,
            when=report.when or "",
            outcome=report.outcome,
            seconds=max(0.0, report.duration - shared),
            skipped=outcomes.skip_reason(report) if report.skipped else "",
        )
        if report.when == "teardown":
            self._tell(report.nodeid)
        elif report.when == "call" or not report.passed:
            verdict = results.verdict_json(self.book.result_of(report.nodeid))
            self.evidence.append_verdict(json.dumps(verdict, ensure_ascii=False))
        return result

    def _tell(self, nodeid: str) -> None:
        terminal = self._terminal
        if terminal is not None:
            terminal.ensure_newline()
            terminal.flush()
        self.live.verdict(self.book.result_of(nodeid), position=self.book.done, total=self._total)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: Any) -> Generator[None, Any, Any]:
        status = yield
        if isinstance(report, pytest.TestReport) and report.failed and report.when == "call":
            judged, _ = self.book.entry(report.nodeid).judged.get("call", ("broken", ""))
            if judged in ("inconclusive", "error") and status[0] == "failed":
                status = (judged, judged[0].upper(), judged.upper())
        return (status[0], "", "") if self._quiet else status

    # The end; what is written and shown then is in `ending`

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """pytest calls this before it tears anything down."""
        error, item = excinfo.value, self._item
        self.config.stash[FAILED] = True
        if isinstance(error, UsageError):
            return
        if type(error) is KeyboardInterrupt:
            by = str(error) or "Ctrl-C"
            during = f" in {item.nodeid}" if item else ""
            self.why = f"interrupted by {by}{during}"
            self.interrupted = exit_code(error)
            if item is not None:
                self.book.entry(item.nodeid).reason = self.why
                self.evidence.keep(item)
            if not self.evidence.gathered_setup(error):
                self.evidence.gather(self.folder.artifacts / "interrupted", self.why, always=True)
        else:
            self.why = str(error)

    def result(self, exit_status: int) -> RunResult:
        """The run so far, to end with this status."""
        return RunResult(
            cluster=self.settings.cluster,
            cluster_name=self.settings.cluster_name,
            set_name=self.set.name,
            versions=self.versions,
            facts=dict(self.facts),
            started=self.started.isoformat(timespec="seconds"),
            verdicts=self.book.results,
            figures=tuple(observations.page().figures),
            stages=tuple(progress.PROGRESS.stages),
            exit=exit_status,
            why=self.why,
            notes=(*self.remarks, *outside(self.observed), *self.evidence.notes),
            tables=observations.tables(),
            sources=self.sources,
        )

    @property
    def cluster(self) -> str:
        """Its kind, marked if emulated."""
        return versions_line(self.settings.cluster, {}).removeprefix("cluster ")

    @property
    def _versions_line(self) -> str:
        return versions_line(self.settings.cluster, self.versions)

    @property
    def _terminal(self) -> Any:
        return self.config.pluginmanager.get_plugin("terminalreporter")
