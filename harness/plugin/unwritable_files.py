"""A file that cannot be written ends no run: what pytest, its plugins and Allure write becomes a note of the summary.

One hook that raises keeps the others from being called, the end of the session's fixtures among them: the cluster would
be left, and the table of claims lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import pytest

Note = Callable[[str], Any]
_ALLURE = ("report_result", "report_container", "report_attached_file", "report_attached_data", "report_globals")


def note_full_disk(config: pytest.Config, note: Note) -> None:
    """Has OSError of every hook that writes files at the session's end, and of Allure's writer, noted."""
    for hook in [config.hook.pytest_sessionfinish, *_allure()]:
        for impl in hook.get_hookimpls():
            if not (impl.wrapper or impl.hookwrapper) and impl.plugin_name != "runner":  # which ends the fixtures
                impl.function = _tolerant(impl.function, note)


def _allure() -> list[Any]:
    try:
        manager = import_module("allure_commons").plugin_manager
    except ImportError:
        return []
    return [hook for name in _ALLURE if (hook := getattr(manager.hook, name, None)) is not None]


def _tolerant(function: Callable[..., Any], note: Note) -> Callable[..., Any]:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except OSError as error:
            note(f"cannot write {error.filename or 'a report'}: {error.strerror or error}")
            return None

    return call
