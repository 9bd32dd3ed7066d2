"""Handles signals that end a run: raises KeyboardInterrupt, and stops the other threads.

Ctrl-C (SIGINT), SIGTERM, SIGHUP (the terminal was closed) and SIGQUIT mean the same: gather evidence, take away what
was made, end with 128 + the signal's number. A signal that the process was started to ignore (nohup) stays ignored.

A thread that waits for others (an executor's `with`, its end) waits for all that they do: minutes, while they are
installing. With `interrupting_other_threads` their waits and programs end at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

HANDLED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # beside SIGINT, which Python itself handles
_given_up: list[int] = []  # the threads that do not wait for the others any more


def interrupt(number: int, _frame: FrameType | None = None) -> None:
    """The handler: as Ctrl-C, with the signal's name."""
    if number == signal.SIGHUP:
        _leave_the_terminal()
    raise KeyboardInterrupt(*_name(number))


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What a shell has for a program that ended by that signal: 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP), 131."""
    named = signal.Signals.__members__.get(str(interrupt), signal.SIGINT)
    return 128 + named


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """The other signals as Ctrl-C, for the block; in the main thread, which alone may say so."""
    with _handled(HANDLED, interrupt):
        yield


@contextmanager
def shielded(tell: Callable[[], None]) -> Iterator[None]:
    """For the block the first signal calls `tell` and no more; the second one interrupts.

    Raises:
        KeyboardInterrupt: at the block's end, when a signal came during it.
    """
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            interrupt(number, frame)
        if number == signal.SIGHUP:
            _leave_the_terminal()
        tell()

    with _handled((signal.SIGINT, *HANDLED), hold):
        yield
    if came:
        raise KeyboardInterrupt(*_name(came[0]))


@contextmanager
def interrupting_other_threads() -> Iterator[None]:
    """For the block, `raise_if_interrupted` raises KeyboardInterrupt in every other thread that waits or begins to."""
    me = threading.get_ident()
    _given_up.append(me)
    try:
        yield
    finally:
        _given_up.remove(me)


def raise_if_interrupted() -> None:
    """
    Raises:
        KeyboardInterrupt: another thread was interrupted, and what this one waits for is not needed any more.
    """
    if any(one != threading.get_ident() for one in _given_up):
        raise KeyboardInterrupt("given up")


@contextmanager
def _handled(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _name(number: int) -> tuple[str, ...]:
    return () if number == signal.SIGINT else (signal.Signals(number).name,)


def _leave_the_terminal() -> None:
    """The terminal is gone: what is still written to it would fail, and with it the taking away."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # names of descriptors, not paths
        with suppress(OSError):
            if os.isatty(int(name)) and Path(f"/dev/fd/{name}").exists():
                os.dup2(nowhere, int(name))
    os.close(nowhere)
