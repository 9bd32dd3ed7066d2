"""The first line of a failed comparison: both sides in full, with long lists shortened.

pytest cuts each side to some thirty characters there, and leaves of 200 statuses the first three.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import groupby
from typing import Any

import pytest

LONG = 8  # items: a shorter list is shown as it is
WIDTH = 240  # characters of each side


class ComparisonText:
    """Hooks of one run."""

    @pytest.hookimpl(wrapper=True)
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> Generator[None, Any, Any]:
        explanation: list[list[str]] = yield  # one explanation from each plugin that has any; pytest shows the first
        return [[f"{value_as_line(left)} {op} {value_as_line(right)}", *lines[1:]] for lines in explanation]


def value_as_line(value: object) -> str:
    """The value as one line: `[200 x 9, 429 x 3]` for a long list of few runs."""
    if isinstance(value, list) and len(value) > LONG:
        runs = [(item, len(list(same))) for item, same in groupby(value)]
        text = f"[{', '.join(f'{item!r} x {n}' if n > 1 else repr(item) for item, n in runs)}]"
    else:
        text = repr(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
