"""Maps pytest's exceptions to outcomes: held, broken, inconclusive, error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, Inconclusive, NotObserved, NotReady, NotRecorded, Terminal
from harness.outcome import Outcome
from harness.report import failure_text
from harness.report.redact import redact


def outcome_of(error: BaseException, when: str) -> Outcome:
    """What an exception in a phase ("setup", "call", "teardown") says of the claim.

    inconclusive: the judge gave up (Inconclusive), a wait in the call ran out while nobody could be asked
    (NotObserved), or pytest-timeout ended the test. error: anything else outside the call, and in it a broken cluster
    or a fault of the code. broken: in the call, an assertion, or a wait for what the claim says.
    """
    if isinstance(error, NotRecorded):
        return Outcome.INCONCLUSIVE
    if isinstance(error, Inconclusive) and (when == "call" or not isinstance(error, NotObserved)):
        return Outcome.INCONCLUSIVE
    if when != "call":
        return Outcome.ERROR
    if isinstance(error, pytest.fail.Exception):
        return Outcome.INCONCLUSIVE if str(error).startswith("Timeout (>") else Outcome.BROKEN
    return Outcome.BROKEN if isinstance(error, AssertionError | NotReady | Terminal) else Outcome.ERROR


def is_message_enough(error: BaseException) -> bool:
    """Whether its message is enough; if not, the reader needs the traceback."""
    return isinstance(error, AssertionError | HarnessError | pytest.fail.Exception)


def describe_location(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
    """The last line of the test's own file, and where it was raised if that is elsewhere."""

    def place(entry: Any) -> str:
        path = Path(str(entry.path))
        root = item.config.rootpath
        return f"{path.relative_to(root) if path.is_relative_to(root) else path}:{entry.lineno + 1}"

    entries = list(excinfo.traceback)
    if not entries:
        return item.nodeid
    own = [entry for entry in entries if Path(str(entry.path)) == item.path]
    if not own:
        return f"{place(entries[-1])}, before the test's first line"
    elsewhere = entries[-1] is not own[-1] and "site-packages" not in Path(str(entries[-1].path)).parts
    raised = f", raised in {place(entries[-1])}" if elsewhere else ""
    return place(own[-1]) + raised


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped, or was expected to fail."""
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"expected to fail: {expected}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
    return reason.removeprefix("Skipped: ")


class FailureRepr:
    """A report's `longrepr` that shows our text. The parts that JUnit and pytest's one-liners need are pytest's own."""

    def __init__(self, failure: failure_text.FailureReport, original: Any) -> None:
        self._blocks = [
            failure_text.Block(b.title, [redact(line) for line in b.lines]) for b in failure_text.blocks(failure)
        ]
        self._text = redact(failure_text.text(failure))
        crash = getattr(original, "reprcrash", None)
        self.reprcrash = replace(crash, message=redact(crash.message)) if crash is not None else None

    def __str__(self) -> str:
        return self._text

    def toterminal(self, tw: Any) -> None:
        """Writes to pytest's terminal writer."""
        for number, block in enumerate(self._blocks):
            if block.title:
                tw.line(f"---- {block.title} ----")
            for at, line in enumerate(block.lines):
                claim, found = number == 0 and at == 0, number == 0 and 0 < at < len(block.lines) - 1
                tw.line(f"  {line}".rstrip(), bold=claim, red=found)
