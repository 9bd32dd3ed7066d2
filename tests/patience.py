"""Bounds for tests that wait for another process or thread.

What is expected to happen happens soon on a quiet machine, and at some time on a busy one. Only a failure waits this
long.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.wait import until

SOON = 120.0  # seconds
AT_ONCE = 120.0  # seconds: far less than the 300 or more for which the thing that must not happen would last


def time_starts_with(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """The time limit of a program counts from when the program has written `file`, however long it takes to start."""
    communicate = subprocess.Popen.communicate

    def once_begun(process: Any, *args: Any, **kwargs: Any) -> Any:
        until(file.exists, bool, what=f"{file.name} is written", within=SOON, every=0.01)
        return communicate(process, *args, **kwargs)

    monkeypatch.setattr(subprocess.Popen, "communicate", once_begun)
