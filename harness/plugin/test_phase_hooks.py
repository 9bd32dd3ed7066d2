"""Pytest hooks that convert a test's phases to verdicts, evidence, live lines and reports.

Works only in a run (`options.is_run`). What is written and shown at the end is in `final_reports`, the record that
both fill in `run`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

import pytest

from harness import observations, progress
from harness.errors import BadInput
from harness.interruption import exit_code
from harness.outcome import Outcome
from harness.plugin import feature_mark, final_status, outcomes
from harness.plugin.final_reports import SessionFinish
from harness.plugin.options import UsageError, is_run
from harness.plugin.run import FAILED, RUN, Run
from harness.report import allure, failure_text, results
from harness.report.claim_results import claim_of
from harness.report.redact import redact
from harness.report.results import properties

NAME = "mesh_e2e_reporting"


@pytest.hookimpl(tryfirst=True)  # before the JUnit and Allure plugins read where to write
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended(feature): a claim beyond the article, reported under its feature")
    config.addinivalue_line(
        "markers", "needs(capability): what a cluster must be able to judge; else a skip, with reason"
    )
    config.addinivalue_line("markers", feature_mark.HELP)
    config.addinivalue_line("markers", "changes(difference): only upgrades that cross it (version_differences.yaml)")
    config.addinivalue_line("markers", "keeps(difference): only upgrades that do not cross it")
    config.addinivalue_line("markers", "one_witness(why): requests that only one component can see")
    config.stash[FAILED] = False
    if not is_run(config) or hasattr(config, "workerinput"):
        return
    try:
        if config.getoption("numprocesses", default=None):
            raise BadInput("suites share one cluster and its limits: they run one after another", remedy="leave -n out")
        run = Run(config)
    except BadInput as error:
        raise UsageError(error) from None
    config.stash[RUN] = run
    config.pluginmanager.register(Reporting(run), NAME)
    config.pluginmanager.register(SessionFinish(config, run), f"{NAME}_ending")


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(RUN, None) is not None:
        config.pluginmanager.unregister(name=f"{NAME}_ending")
        reporting = config.pluginmanager.unregister(name=NAME)
        assert isinstance(reporting, Reporting)  # registered with the run
        reporting.close()
        del config.stash[RUN]


class Reporting:
    """Hooks of one run."""

    def __init__(self, run: Run) -> None:
        self._run, self._config = run, run.config
        self._item: pytest.Item | None = None
        self._depth, self._shared_seconds = 0, 0.0  # session fixtures being set up; their seconds in this test
        self._quiet = False
        self._total = 0
        self._default_outputs()
        self._steps = allure.steps()
        progress.PROGRESS.listeners.append(self._steps)

    def close(self) -> None:
        """Stops listening. The ledger's page is the session's again."""
        progress.PROGRESS.listeners.remove(self._steps)
        observations.open_page("")
        self._run.close()

    def _default_outputs(self) -> None:
        option = self._config.option
        if getattr(option, "xmlpath", "") is None:
            option.xmlpath = str(self._run.folder.junit)
        if getattr(option, "allure_report_dir", "") is None:
            option.allure_report_dir = str(self._run.folder.allure)

    # What is printed at the start

    def pytest_report_header(self) -> list[str]:
        remarks = [f"note: {remark}" for remark in self._run.remarks]
        return [
            *remarks,
            self._run.result(0).headline,
            f"run folder: {self._run.evidence.display_path(self._run.folder.path)}",
        ]

    def pytest_sessionstart(self) -> None:
        terminal = self._terminal
        if terminal is not None:
            terminal.showfspath = False  # the line a test is ours
            terminal.reportchars = ""  # and so is the table at the end

    # Which tests there are

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        area = self._run.evidence.area(self._config.rootpath / report.nodeid.partition("::")[0])
        if report.failed:
            self._config.stash[FAILED] = True
            claim, outcome, why = "(collection)", Outcome.ERROR, str(report.longrepr).strip()
        elif report.skipped:
            claim, outcome, why = "(all of the file)", Outcome.SKIPPED, outcomes.skip_reason(report)
        else:
            return
        self._run.book.add_extra(report.nodeid, area=area, claim=claim, outcome=outcome, reason=why)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._run.deselected += len(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)
        self._run.sources = final_status.digests({item.path for item in session.items}, self._config.rootpath)
        for item in session.items:
            mark, row = item.get_closest_marker("extended"), feature_mark.row_of(item)
            self._run.book.expect(
                item.nodeid,
                area=self._run.evidence.area(item.path),
                claim=claim_of(getattr(item, "obj", None), item.name, feature_mark.parameters(item)),
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
            self._run.why = f"bad input: {refused.error}"
            raise UsageError(refused.error, printed=True) from None
        finally:
            self._depth = 0
            self._shared_seconds += time.monotonic() - begun
            observations.open_page(self._item.nodeid)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Before anything is undone, and before Allure closes its books on this test."""
        page, known = observations.page(item.nodeid), self._run.book.result_of(item.nodeid)
        allure.describe(
            claim=known.claim, area=known.area, cluster=self._run.settings.cluster, versions=self._run.versions
        )
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
            self._run.book.entry(item.nodeid).evidence = self._run.evidence.keep(item)
            item.user_properties += properties(
                self._run.book.result_of(item.nodeid), self._run.cluster, self._run.versions
            )
        report = yield
        if report.failed and call.excinfo is not None and report.when is not None:
            entry, error = self._run.book.entry(item.nodeid), call.excinfo.value
            outcome = outcomes.outcome_of(error, report.when)
            found = redact(call.excinfo.exconly(tryshort=True))
            entry.judged[report.when] = outcome, found  # already: an interrupt may come now
            failure = self._run.evidence.failure(
                item, call.excinfo, report, claim=entry.claim, versions=self._run.versions_line
            )
            entry.judged[report.when] = outcome, redact(failure_text.with_causes(failure.found, failure.causes))
            shown = outcomes.FailureRepr(failure, report.longrepr)
            report.longrepr = shown  # type: ignore[assignment]  # pytest asks of it what this class has: see there
            self._run.evidence.write(item, "failure.txt", f"{shown}\n\n{call.excinfo.getrepr(style='native')}\n")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        self._quiet = True
        self._config.stash[FAILED] |= report.failed
        try:
            result = yield
        finally:
            self._quiet = False
        if type(report) is not pytest.TestReport:  # a subtest: its failure is the test's as well
            return result
        shared, self._shared_seconds = (self._shared_seconds, 0.0) if report.when == "setup" else (0.0, 0.0)
        self._run.book.report(
            report.nodeid,
            when=report.when or "",
            result=report.outcome,
            seconds=max(0.0, report.duration - shared),
            skipped=outcomes.skip_reason(report) if report.skipped else "",
        )
        if report.when == "teardown":
            self._tell(report.nodeid)
        elif report.when == "call" or not report.passed:
            verdict = results.verdict_json(self._run.book.result_of(report.nodeid))
            self._run.evidence.append_verdict(json.dumps(verdict, ensure_ascii=False))
        return result

    def _tell(self, nodeid: str) -> None:
        terminal = self._terminal
        if terminal is not None:
            terminal.ensure_newline()
            terminal.flush()
        self._run.live.verdict(self._run.book.result_of(nodeid), position=self._run.book.done, total=self._total)

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self, report: Any) -> Generator[None, Any, Any]:
        status = yield
        if isinstance(report, pytest.TestReport) and report.failed and report.when == "call":
            judged, _ = self._run.book.entry(report.nodeid).judged.get("call", (Outcome.BROKEN, ""))
            if judged in (Outcome.INCONCLUSIVE, Outcome.ERROR) and status[0] == "failed":
                status = (judged, judged[0].upper(), judged.upper())
        return (status[0], "", "") if self._quiet else status

    # An interruption

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """pytest calls this before it tears anything down."""
        error, item = excinfo.value, self._item
        self._config.stash[FAILED] = True
        if isinstance(error, UsageError):
            return
        if type(error) is KeyboardInterrupt:
            by = str(error) or "Ctrl-C"
            during = f" in {item.nodeid}" if item else ""
            self._run.why = f"interrupted by {by}{during}"
            self._run.interrupted = exit_code(error)
            if item is not None:
                self._run.book.entry(item.nodeid).reason = self._run.why
                self._run.evidence.keep(item)
            if not self._run.evidence.gathered_setup(error):
                self._run.evidence.gather(self._run.folder.artifacts / "interrupted", self._run.why, always=True)
        else:
            self._run.why = str(error)

    @property
    def _terminal(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")
