"""Prints live lines of a run: one for each test, and progress between them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.text import Text

from harness import progress
from harness.outcome import Outcome
from harness.report.results import ClaimResult

COLOURS: Mapping[str, str] = {
    Outcome.HELD: "green",
    Outcome.BROKEN: "red",
    Outcome.ERROR: "red",
    Outcome.INCONCLUSIVE: "magenta",
    Outcome.SKIPPED: "yellow",
}


class Live:
    """Shows a run on `file`: with a moving status line where `moving`, else in plain lines."""

    def __init__(self, file: TextIO, *, moving: bool) -> None:
        self.moving = moving
        self.console = Console(file=file) if moving else Console(file=file, no_color=True, force_terminal=False)
        self._file = file
        self._listener = progress.live(self.console) if moving else progress.plain(self.console)
        progress.PROGRESS.listeners.append(self._listener)

    def verdict(self, verdict: ClaimResult, *, position: int, total: int) -> None:
        """Shows what became of one test, `position` of `total`."""
        width = len(str(total))
        line = Text(f"{position:>{width}}/{total} ")
        line.append(f"{verdict.outcome:<8}", style=COLOURS.get(verdict.outcome, ""))
        line.append(f"{verdict.area}: {verdict.claim}")
        line.append(f"  {verdict.seconds:.1f}s", style="dim")
        if verdict.outcome == Outcome.SKIPPED and verdict.reason:
            line.append(f"  ({verdict.reason})", style="dim")
        self.console.print(line, soft_wrap=True, highlight=False)

    def line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Stops showing; the file is left open."""
        if self._listener in progress.PROGRESS.listeners:
            progress.PROGRESS.listeners.remove(self._listener)
        with suppress(OSError, ValueError):  # a terminal or a pipe that is gone
            self._file.flush()


def own_stdout() -> tuple[TextIO, bool]:
    """Standard output as it is now, which pytest's capturing will not reach; and whether it is ours to close."""
    try:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace", buffering=1), True
    except (OSError, ValueError, io.UnsupportedOperation):  # standard output is no file: pytest inside pytest
        return sys.stdout, False
