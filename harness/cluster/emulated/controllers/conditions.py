"""Status conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import now


def condition(type: str, status: bool, reason: str, message: str, *, generation: int | None = None) -> Object:
    """One condition; `generation` is what it says it has seen (None for kinds that do not say)."""
    seen = {} if generation is None else {"observedGeneration": generation}
    return {"type": type, "status": "True" if status else "False", "reason": reason, "message": message} | seen


def merged(old: Iterable[Object] | None, new: Sequence[Object]) -> list[Object]:
    """The new conditions with the time of their last change: the old one where nothing changed."""
    before = {one["type"]: one for one in old or ()}
    result: list[Object] = []
    for one in new:
        have = before.get(one["type"])
        same = have is not None and all(have.get(key) == value for key, value in one.items())
        result.append(one | {"lastTransitionTime": have["lastTransitionTime"] if have and same else now()})
    return result


def find(conditions: Iterable[Object] | None, type: str) -> Object:
    """The condition of that type, or an empty one."""
    return next((one for one in conditions or () if one["type"] == type), {})


def is_true(conditions: Iterable[Object] | None, type: str) -> bool:
    return bool(find(conditions, type).get("status") == "True")


def at(obj: Any, *path: str) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj
