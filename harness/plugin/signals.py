"""SIGTERM, SIGHUP and SIGQUIT are treated as Ctrl-C, so that evidence is gathered and what was made is taken down;
pytest itself dies of them.

Only in a run. What a SIGKILL leaves behind is for `make clean`, or for the next run.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from harness.interruption import signals_heard
from harness.plugin.options import is_run

HEARD = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    if is_run(config):
        heard = config.stash[HEARD] = ExitStack()
        heard.enter_context(signals_heard())


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash.get(HEARD, ExitStack()).close()
