"""Runs pytest in a forked process with everything imported, for fast runs on one cluster.

Each is a fork of one process that imported once, and leaves what its fixtures made to the reset: half of a run.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_IMPORTED = [
    "pytest",
    "harness.faults.planting",
    "harness.plugin.fault_hook",
    "harness.plugin.fixtures",
    "harness.plugin.fixtures_load",
    "harness.plugin.fixtures_observation",
    "harness.plugin.needs",
    "harness.plugin.oracles",
    "harness.plugin.test_phase_hooks",
]
_FILE = "pytest.log"  # in the run's folder: the output of pytest
_LAST = 12  # lines


class Forks:
    """Calls of pytest in processes of their own that share what was imported."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_IMPORTED)

    def run_pytest(self, arguments: Sequence[str], *, env: Mapping[str, str], folder: Path, within: float) -> str:
        """One call. Its output goes to `folder`/pytest.log; returned are its last lines. Killed after `within` seconds,
        with all that it started."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / _FILE
        process = self._context.Process(target=_session, args=(list(arguments), dict(env), file))
        process.start()
        try:
            process.join(within)
            late = [f"killed after {within:g}s"] if process.is_alive() else []
        finally:  # Ctrl-C, SIGTERM: it must not outlive us
            if process.pid and process.is_alive():
                process.kill()
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.join()
        lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
        return "\n".join([*lines[-_LAST:], *late])


def _session(arguments: list[str], env: dict[str, str], file: Path) -> None:
    os.setsid()  # what it starts can be ended with it
    os.environ.update(env)
    if "PYTHONPYCACHEPREFIX" in env:  # Python read it when the first process began
        sys.pycache_prefix, sys.dont_write_bytecode = env["PYTHONPYCACHEPREFIX"], False
    log_file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (1, 2):
        os.dup2(log_file, stream)
    sys.exit(int(importlib.import_module("pytest").main(arguments, plugins=[LeaveStanding()])))


class LeaveStanding:
    """A plugin of pytest: what stands when the last test has ended is left as it is."""

    def __init__(self) -> None:
        self._kept: list[Any] = []  # fixtures without a reference would clean up after all

    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> None:
        """Runs before pytest's own, as that of a plugin that came last."""
        if nextitem is None:
            stack = item.session._setupstate.stack  # pytest has no public word for it
            self._kept.append(dict(stack))
            stack.clear()
