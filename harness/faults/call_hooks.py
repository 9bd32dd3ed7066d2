"""Plants a fault before or after a call of a harness function."""

from __future__ import annotations

import functools
import pkgutil
import re
from collections.abc import Callable
from typing import Any

_CALL = re.compile(r"^(?P<owner>harness(?:\.\w+)+)\.(?P<name>\w+)(?:#(?P<number>[1-9]\d*))?$")


def is_call(text: str) -> bool:
    """Whether this names a call: "harness.waits.status.wait_for_condition", or with "#2" the second one."""
    return _CALL.match(text) is not None


def _nothing() -> None:
    """What is done where nothing is asked for."""


def hook_call(
    call: str, *, before: Callable[[], None] = _nothing, after: Callable[[], None] = _nothing
) -> Callable[[], None]:
    """Has something done once, right before that call or after it has ended in whatever way. What is returned takes the
    watch away.

    Callers must name the function by its module or class, as those of suites do: one that was imported by its own name
    is not seen.

    Raises:
        ValueError, ImportError, AttributeError: there is no such function.
    """
    found = _CALL.match(call)
    if found is None:
        raise ValueError(f"{call!r} names no call of the harness")
    owner, name, left = pkgutil.resolve_name(found["owner"]), found["name"], int(found["number"] or 1)
    original = getattr(owner, name)

    @functools.wraps(original)
    def watched(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        met = left == 0
        if met:
            before()
        try:
            return original(*arguments, **named)
        finally:
            if met:
                after()

    setattr(owner, name, watched)
    return lambda: setattr(owner, name, original)
