"""Shows the progress of a run: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


@dataclass
class Stage:
    """One named stretch of work: `seconds` is None while it runs; `failed` holds the error's first line; `began` are
    seconds since this process began to work."""

    name: str
    started: float
    seconds: float | None = None
    failed: str = ""
    awaited: str = ""
    began: float = 0.0


@dataclass
class Progress:
    """Collects stages (several may run side by side) and notifies each listener of each change."""

    stages: list[Stage] = field(default_factory=list)
    listeners: list[Callable[[Stage, str], None]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    @property
    def seconds(self) -> float:
        """Since this process began to work."""
        return time.monotonic() - self.began

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Times the block as the stage `name`; nested stages are stages of their own."""
        stage, outer = Stage(name, time.monotonic(), began=self.seconds), getattr(self._local, "stage", None)
        with self._lock:
            self.stages.append(stage)
        self._local.stage = stage
        self._tell(stage, "started")
        try:
            yield stage
        except BaseException as error:
            stage.failed = str(error).partition("\n")[0] or type(error).__name__
            raise
        finally:
            stage.seconds = time.monotonic() - stage.started
            self._local.stage = outer
            self._tell(stage, "failed" if stage.failed else "done")

    def awaiting(self, what: str, last_seen: str) -> None:
        """Says what the running stage of this thread waits for."""
        stage = getattr(self._local, "stage", None)
        text = f"{what} ({last_seen})" if last_seen else what
        if stage is not None and stage.awaited != text:
            stage.awaited = text
            self._tell(stage, "awaiting")

    def note(self, text: str) -> None:
        """A remark that belongs to no stage: a retried transport, a chosen fallback."""
        self._tell(Stage(text, time.monotonic()), "note")

    def _tell(self, stage: Stage, event: str) -> None:
        for listener in tuple(self.listeners):
            listener(stage, event)


def plain(console: Console) -> Callable[[Stage, str], None]:
    """A listener for pipes and CI: a line a stage and event, waits only when what was seen changes."""
    begun = time.monotonic()

    def listen(stage: Stage, event: str) -> None:
        at = f"[{time.monotonic() - begun:6.1f}s]"
        match event:
            case "started":
                line = f"{at} {stage.name} ..."
            case "done":
                line = f"{at} {stage.name}: done in {stage.seconds or 0:.1f}s"
            case "failed":
                line = f"{at} {stage.name}: FAILED after {stage.seconds or 0:.1f}s: {stage.failed}"
            case "awaiting":
                line = f"{at} {stage.name}: awaiting {stage.awaited}"
            case _:
                line = f"{at} {stage.name}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return listen


def live(console: Console) -> Callable[[Stage, str], None]:
    """A listener for a terminal: finished stages stay as lines, running ones share one moving status line."""
    status = console.status("", spinner="dots")
    running: dict[int, Stage] = {}
    lock = threading.RLock()  # a signal handler may write while its thread is writing

    def listen(stage: Stage, event: str) -> None:
        with lock:
            if event == "started":
                running[id(stage)] = stage
            elif event in ("done", "failed"):
                running.pop(id(stage), None)
                mark = "[red]failed[/]" if stage.failed else "[green]done[/]"
                console.print(f"  {mark} {escape(stage.name)} [dim]{stage.seconds or 0:.1f}s[/]", highlight=False)
            elif event == "note":
                console.print(f"  [dim]{escape(stage.name)}[/]", highlight=False)
            texts = [s.name + (f": {s.awaited}" if s.awaited else "") for s in running.values()]
            status.update(escape(" | ".join(texts)[: console.width - 4]) if texts else "")
            status.start() if texts else status.stop()

    return listen


PROGRESS = Progress()
stage, awaiting, note = PROGRESS.stage, PROGRESS.awaiting, PROGRESS.note


def show(stream_is_terminal: bool | None = None) -> None:
    """Starts showing progress on standard error, in the form that fits it."""
    console = Console(stderr=True)
    terminal = sys.stderr.isatty() if stream_is_terminal is None else stream_is_terminal
    PROGRESS.listeners = [live(console) if terminal else plain(console)]
