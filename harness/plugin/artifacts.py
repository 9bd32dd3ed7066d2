"""Writes a test's folder: attachments, failure text, and diagnostics gathered before anything is undone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import observations, progress, timeouts
from harness.errors import BadInput, HarnessError
from harness.plugin import outcomes
from harness.plugin.options import settings_of, suites
from harness.report import failure_text
from harness.report.redact import redact
from harness.report.run_folder import RunFolder
from harness.settings import as_make_variables

Gatherer = Callable[[Path, str], None]
GATHERER = pytest.StashKey[Gatherer | None]()
# From the text of a failure and what was seen until then to sentences that say why; set by the fixtures.
CauseReader = Callable[[str, Sequence[observations.Sighting]], Sequence[str]]
CAUSES = pytest.StashKey[CauseReader | None]()
MATERIAL = 1_000_000  # characters of a claim's raw material
LATE = 3  # reads for causes that took all of their time, after which no more are made
FULL = 3  # failures of a run whose diagnostics are gathered; later ones rarely tell more, and each takes its time


class Artifacts:
    """Keeps evidence below a run folder. Nothing here raises: what cannot be kept becomes a note."""

    def __init__(self, config: pytest.Config, folder: RunFolder) -> None:
        self.notes: list[str] = []
        self._config, self._folder = config, folder
        self._gathered = self._late = 0
        self._struck: list[tuple[BaseException, str]] = []  # errors of fixtures, which pytest raises again and again
        self._explained: list[BaseException] = []  # errors whose causes were read before something was undone
        self._struck_setup: BaseException | None = None

    def area(self, path: Path) -> str:
        """The folder below the suites that a test file is in, or the file's own name."""
        for suite in suites(self._config):
            if path.is_relative_to(suite):
                first = path.relative_to(suite).parts[0] if path != suite else suite.name
                return first.removesuffix(".py").removeprefix("test_")
        return path.parent.name

    def display_path(self, path: Path) -> str:
        """A path as a person here would type it."""
        here = self._config.invocation_params.dir
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    def failure(
        self,
        item: pytest.Item,
        excinfo: pytest.ExceptionInfo[BaseException],
        report: pytest.TestReport,
        *,
        claim: str,
        versions: str,
    ) -> failure_text.FailureReport:
        """Gathers, and puts into words. Called before any finalizer of a fixture that this test uses."""
        error, folder = excinfo.value, self._of(item)
        repeats = next((id for other, id in self._struck if other is error), "")
        if report.when == "setup" and not repeats:
            self._struck.append((error, item.nodeid))
        text = ""
        if error is self._struck_setup and not repeats:
            text = f"diagnostics: {self.display_path(self._folder.setup)}/diagnostics/"
        elif not repeats and report.when != "teardown" and item.get_closest_marker("xfail") is None:
            text = self.gather(folder / "diagnostics", f"{item.nodeid} failed in {report.when}: {_first_line(error)}")
        page = observations.page(item.nodeid)
        before = observations.page().sightings if report.when == "setup" else []
        found = excinfo.exconly(tryshort=True)
        judged = not repeats and report.when != "teardown" and item.get_closest_marker("xfail") is None
        causes = self.causes(error, found, [*before, *page.sightings]) if judged else ()
        terse = outcomes.is_message_enough(error) and self._config.option.tbstyle == "auto"
        return failure_text.FailureReport(
            id=item.nodeid,
            claim=claim,
            found=found,
            where=outcomes.describe_location(item, excinfo),
            asked=as_make_variables(settings_of(self._config)),
            versions=versions,
            evidence=f"{self.display_path(folder)}/",
            sightings=[*before, *page.sightings],
            figures=page.figures,
            notes=[text] if text else [],
            traceback="" if terse else str(report.longrepr),
            repeats=repeats,
            causes=causes,
        )

    def causes(self, error: BaseException, found: str, sightings: Sequence[observations.Sighting]) -> Sequence[str]:
        """Why it failed, as far as a few reads of the cluster show, done before anything is undone."""
        read = self._config.stash.get(CAUSES, None)
        known = tuple(getattr(error, "causes", ()))
        if known or any(one is error for one in self._explained):
            return known
        if read is None or isinstance(error, BadInput):
            return ()
        begun = time.monotonic()
        with progress.stage("naming the cause"), observations.probing():
            causes = read(found, sightings)
        self._late += time.monotonic() - begun >= timeouts.CAUSES
        if self._late == LATE:  # the next failure would wait for it in vain as well
            self._config.stash[CAUSES] = None
        return causes

    def explain(self, error: Exception) -> None:
        """Names the cause of an error that ends a block, before what stands in the block is undone."""
        if not any(one is error for one in self._explained):
            causes = self.causes(error, str(error), observations.current().sightings)
            error.causes = tuple(causes)  # type: ignore[attr-defined]  # any error may carry them, as HarnessError does
            self._explained.append(error)

    def gather(self, into: Path, why: str, *, always: bool = False) -> str:
        """Calls the gatherer, unless enough was gathered in this run. Returns what there is to say of it."""
        gatherer = self._config.stash.get(GATHERER, None)
        if not settings_of(self._config).gather:
            return "no diagnostics: none are wanted (E2E_GATHER)"
        if gatherer is None:
            return "no diagnostics: there was no cluster to gather from yet"
        if self._gathered >= FULL and not always:
            return f"no diagnostics: {FULL} failures of this run have them, see artifacts/*/*/diagnostics/"
        self._gathered += 1
        try:
            with progress.stage("gathering diagnostics"):
                into.mkdir(parents=True, exist_ok=True)
                gatherer(into, why)
        except KeyboardInterrupt:
            raise  # the second Ctrl-C means it
        except BaseException as error:  # noqa: BLE001  # pytest-timeout's is no Exception; none may hide the failure itself
            return self.note(f"gathering diagnostics failed: {type(error).__name__}: {_first_line(error)}")
        return ""

    def gather_setup(self, error: BaseException) -> None:
        """Gathers for an error of a session fixture, and names its cause, before that fixture undoes anything."""
        self._struck_setup = error
        if isinstance(error, HarnessError):
            error.causes = tuple(self.causes(error, str(error), observations.current().sightings))
        self.gather(self._folder.setup / "diagnostics", f"setup failed: {_first_line(error)}", always=True)

    def gathered_setup(self, error: BaseException) -> bool:
        """Whether that was done for this error, or one (a second Ctrl-C) that came meanwhile."""
        found: BaseException | None = error
        while found is not None and found is not self._struck_setup:
            found = found.__context__
        return found is not None

    def keep(self, item: pytest.Item) -> str:
        """Writes the test's attachments and witnesses; its folder as reports name it, or nothing if there is none."""
        folder = self._keep(self._of(item), observations.page(item.nodeid))
        return self._folder.relative_path(folder) + "/" if folder.exists() else ""

    def keep_setup(self) -> None:
        """Writes what belongs to no test: the session's page, and how long each stage took."""
        self._keep(self._folder.setup, observations.page())
        lines = [
            f"{f'{s.seconds:8.1f}s' if s.seconds is not None else '  (open)'}  {s.name}"
            + (f"  FAILED: {s.failed}" if s.failed else "")
            for s in progress.PROGRESS.stages
        ]
        if lines:
            self._write(self._folder.setup / "stages.txt", "\n".join(lines) + "\n")

    def write(self, item: pytest.Item, name: str, text: str) -> None:
        """Writes a file of the test's folder."""
        self._write(self._of(item) / name, text)

    def append_verdict(self, text: str) -> None:
        """A verdict is on the disk as soon as it is reached."""
        self._try(partial(self._folder.append_verdict, text))

    def note(self, text: str) -> str:
        """Remembers a remark for the summary, once."""
        text = redact(text)
        if text not in self.notes:
            self.notes.append(text)
        return text

    def _of(self, item: pytest.Item) -> Path:
        return self._folder.test(self.area(item.path), item.name, id=item.nodeid)

    def _keep(self, folder: Path, page: observations.Ledger) -> Path:
        if page.sightings:
            self._write(folder / "witnesses.txt", "\n".join(failure_text.witness_lines(page.sightings)) + "\n")
            self._write(folder / "observations.jsonl", raw_material(page.sightings))
        for one in page.attachments:
            self._try(partial(self._folder.add, folder, one.name, one.text))
        return folder

    def _write(self, path: Path, text: str) -> None:
        self._try(lambda: self._folder.write(path, text))

    def _try(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except BadInput as error:
            self.note(str(error))


def raw_material(sightings: Sequence[observations.Sighting], limit: int = MATERIAL) -> str:
    """The raw material of a claim, JSON lines in the order of time: {at, who, what, of: [request id], probe, raw: [as
    received]}. What goes beyond `limit` characters is left out, and the last line says so: {cut: how many}."""
    lines, size = list[str](), 0
    for number, one in enumerate(sightings):
        line = json.dumps(asdict(one) | {"of": sorted(one.of)})
        size += len(line)
        if size > limit:
            return "\n".join([*lines, json.dumps({"cut": len(sightings) - number})]) + "\n"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
