"""SIGTERM, SIGHUP and SIGQUIT are treated as Ctrl-C, so that evidence is gathered and what was made is taken down;
pytest itself dies of them.

Only in a run. What a SIGKILL leaves behind is for `make clean`, or for the next run.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from harness.interruption import exit_code, signals_as_interrupts
from harness.plugin.options import is_run

HANDLERS = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    if is_run(config):
        handlers = config.stash[HANDLERS] = ExitStack()
        handlers.enter_context(signals_as_interrupts())


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """A signal that comes while pytest handles the first one leaves pytest as an exception: here it ends, without a
    traceback. The end of the session has run by then."""
    try:
        return (yield)
    except KeyboardInterrupt as again:
        if not is_run(config):
            raise
        print("interrupted again while the run was ending", file=sys.stderr)
        return exit_code(again)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash.get(HANDLERS, ExitStack()).close()
