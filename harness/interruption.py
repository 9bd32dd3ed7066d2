"""Ctrl-C and SIGTERM: heard by the main thread, as KeyboardInterrupt, and told by it to the others.

A thread that waits for others (an executor's `with`, its end) waits for all that they do: minutes, while they are
installing. With `others_give_up` their waits and programs end at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGTERM = "SIGTERM"
_given_up: list[int] = []  # the threads that do not wait for the others any more


def once(_number: int, _frame: FrameType | None) -> None:
    """The handler of the first SIGTERM: as Ctrl-C. The second one ends the process at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt(_SIGTERM)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What a shell has for a program that ended by that signal: 143 (SIGTERM), 130 (Ctrl-C)."""
    return 143 if str(interrupt) == _SIGTERM else 130


@contextmanager
def sigterm_heard() -> Iterator[None]:
    """SIGTERM as Ctrl-C, for the block; in the main thread, which alone may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def others_give_up() -> Iterator[None]:
    """For the block, every other thread that waits, or begins to, gets KeyboardInterrupt from `heed`."""
    me = threading.get_ident()
    _given_up.append(me)
    try:
        yield
    finally:
        _given_up.remove(me)


def heed() -> None:
    """
    Raises:
        KeyboardInterrupt: another thread was interrupted, and nobody wants what this one waits for.
    """
    if any(one != threading.get_ident() for one in _given_up):
        raise KeyboardInterrupt("given up")
