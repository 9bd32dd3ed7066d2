"""SIGTERM is treated as Ctrl-C, so that evidence is gathered and what was made is taken down; pytest itself dies of it.

Only in a run. The second SIGTERM ends the process at once. What a SIGKILL leaves behind is for `make clean`.
"""

from __future__ import annotations

import signal
import threading

import pytest

from harness.interruption import once
from harness.plugin.options import is_run

PREVIOUS = pytest.StashKey[signal.Handlers | int | object]()


def pytest_configure(config: pytest.Config) -> None:
    if is_run(config) and threading.current_thread() is threading.main_thread():
        config.stash[PREVIOUS] = signal.signal(signal.SIGTERM, once)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    previous = config.stash.get(PREVIOUS, None)
    if previous is not None:
        signal.signal(signal.SIGTERM, previous)  # type: ignore[arg-type]  # it is what signal.signal returned
        del config.stash[PREVIOUS]
