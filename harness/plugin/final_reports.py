"""Hooks at the end of a run: write files, fail an empty run, print the summary."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness import settings
from harness.errors import BadInput
from harness.interruption import exit_code, shielded
from harness.kube.request_log import REQUESTS
from harness.outcome import Outcome
from harness.plugin import final_status, unwritable_files
from harness.plugin.run import Run
from harness.report import report_files, summary
from harness.report.results import RunResult, why_empty

API_REQUESTS = "api-requests.json"  # below the run's setup folder


class SessionFinish:
    """Hooks of the session's end, over the record of the run."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._config, self._run = config, run
        self._result: RunResult | None = None
        self._unwritten = False

    @pytest.hookimpl(trylast=True)  # all plugins are there
    def pytest_sessionstart(self) -> None:
        unwritable_files.note_full_disk(self._config, self._note_unwritten)

    def _note_unwritten(self, text: str) -> None:
        self._unwritten = True
        self._run.evidence.note(text)

    @pytest.hookimpl(wrapper=True, trylast=True)  # inside the terminal's, which then shows the summary
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)  # pytest's JUnit writer, which has no other handle
            if add is not None:
                for name, value in self._suite_properties().items():
                    add(name, value)
        result: object = None
        try:
            with self._interruptions():
                result = yield
        finally:
            with self._interruptions():
                self._run.standing.close()
            with self._interruptions(), shielded(lambda: None):
                self._finish(session)
        return result

    @contextmanager
    def _interruptions(self) -> Iterator[None]:
        """An interruption while all is undone ends that, and no more: the record is still written."""
        try:
            yield
        except KeyboardInterrupt as error:
            self._run.interrupted = self._run.interrupted or exit_code(error)
            self._run.why = self._run.why or f"interrupted by {str(error) or 'Ctrl-C'}"

    def _write_requests(self) -> None:
        """The run's API requests by kind: `mesh-e2e rbac --check` compares them with the rights it prints."""
        made = [one._asdict() | {"count": count} for one, count in sorted(REQUESTS.made.items())]
        folder = self._run.folder
        if made:
            with suppress(BadInput):  # the disk is full, which the reports say
                folder.write(folder.setup / API_REQUESTS, json.dumps(made, indent=1))

    def _suite_properties(self) -> dict[str, str]:
        facts = {f"fact {n}": v for n, v in self._run.facts.items() if n not in self._run.versions}
        return {"cluster": self._run.cluster, "set": self._run.set.name, **self._run.versions, **facts}

    def _finish(self, session: pytest.Session) -> None:
        session.exitstatus = self._run.interrupted or final_status.final_status(self._run, int(session.exitstatus))
        empty = why_empty(self._run.book.results, self._run.deselected)
        if empty and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
            self._run.why = self._run.why or empty
        self._run.folder.free_reserve()
        self._write_requests()
        where = getattr(self._config.option, "allure_report_dir", None)
        listens = self._config.pluginmanager.has_plugin("allure_listener")
        failed = report_files.write(
            self._run.result(int(session.exitstatus)),
            self._run.folder,
            conformant=bool(self._config.getoption("--conformance")),
            allure_results=Path(where) if where and listens else None,
            page=settings.github_summary(),
            build=settings.ci_build(),
        )
        self._run.evidence.keep_setup()
        for text in failed:
            self._run.evidence.note(text)
        if (failed or self._unwritten) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._result = self._run.result(int(session.exitstatus))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        inconclusive = terminalreporter.getreports(Outcome.INCONCLUSIVE)
        if inconclusive:
            terminalreporter.write_sep("=", "INCONCLUSIVE")
        for report in inconclusive:
            terminalreporter.write_sep("_", report.nodeid, purple=True, bold=True)
            report.toterminal(self._config.get_terminal_writer())
        terminalreporter.write_sep("=", "claims")
        terminalreporter.flush()
        run = self._result or self._run.result(0)
        if run.was_refused:
            self._run.live.line(run.why)
        elif self._run.live.moving:
            summary.show(run, self._run.live.console)
        else:
            self._run.live.line(summary.summary_as_text(run).rstrip("\n"))
        self._run.live.line(f"run folder: {self._run.evidence.display_path(self._run.folder.path)}")
