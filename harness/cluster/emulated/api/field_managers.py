"""Server-side apply and managedFields of the emulated API. Pure.

A path is a tuple of FieldsV1 elements, such as ("f:spec", "f:replicas"). A list is one value; in a real cluster the
items of some lists have owners of their own, but the harness applies no list that it shares with another manager.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from harness.cluster.emulated.api.errors import ApiError
from harness.cluster.emulated.api.kinds import Object

Path = tuple[str, ...]
_UNOWNED = {"apiVersion", "kind", "metadata", "status"}
_UNOWNED_METADATA = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}


def leaves(obj: Object) -> dict[Path, Any]:
    """Each field an object sets, by path, with its value."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in _UNOWNED_METADATA}
    others = {key: value for key, value in obj.items() if key not in _UNOWNED}
    return _leaves(others, ()) | _leaves(metadata, ("f:metadata",))


def _leaves(obj: Object, at: Path) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for key, value in obj.items():
        inside = (*at, f"f:{key}")
        found |= _leaves(value, inside) if isinstance(value, dict) and value else {inside: value}
    return found


def nested(paths: Iterable[Path]) -> Object:
    """FieldsV1 of a set of paths."""
    result: Object = {}
    for path in sorted(paths):
        level = result
        for part in path:
            level = level.setdefault(part, {})
    return result


def paths(fields: Object, at: Path = ()) -> set[Path]:
    """The set of paths of FieldsV1."""
    found: set[Path] = set()
    for part, below in fields.items():
        found |= paths(below, (*at, part)) if below else {(*at, part)}
    return found


def owned(obj: Object) -> dict[str, set[Path]]:
    """Paths by manager, from an object's managedFields."""
    entries = obj.get("metadata", {}).get("managedFields") or []
    return {entry["manager"]: paths(entry["fieldsV1"]) for entry in entries}


def record(obj: Object, owners: dict[str, set[Path]], now: str) -> None:
    """Writes managedFields; managers that own nothing are left out."""
    common = {"operation": "Apply", "apiVersion": obj["apiVersion"], "time": now, "fieldsType": "FieldsV1"}
    obj["metadata"]["managedFields"] = [
        {"manager": manager, "fieldsV1": nested(mine)} | common for manager, mine in owners.items() if mine
    ]


def apply(live: Object, wanted: Object, manager: str, *, force: bool, now: str) -> Object:
    """Server-side apply of `wanted` to `live`, which stays as it is; fields no longer applied are removed.

    Raises:
        ApiError: 409, another manager has applied one of the fields with another value and `force` is false.
    """
    setting, have, owners = leaves(wanted), leaves(live), owned(live)
    mine = owners.pop(manager, set())
    contested = {
        path: other
        for other, theirs in owners.items()
        for path in theirs & set(setting)
        if have.get(path) != setting[path]
    }
    if contested and not force:
        raise _conflict(contested)
    for theirs in owners.values():
        theirs -= set(contested)
    result = copy.deepcopy(live)
    for path in mine - set(setting) - set().union(*owners.values()):
        _remove(result, path)
    for path, value in setting.items():
        level = result
        for part in path[:-1]:
            level = level.setdefault(part[2:], {})
        level[path[-1][2:]] = copy.deepcopy(value)
    record(result, owners | {manager: set(setting)}, now)
    return result


def _conflict(contested: dict[Path, str]) -> ApiError:
    fields = {"".join(f".{part[2:]}" for part in path): other for path, other in contested.items()}
    if len(fields) == 1:
        ((field, other),) = fields.items()
        return ApiError(409, "Conflict", f'Apply failed with 1 conflict: conflict with "{other}": {field}')
    listed = ""
    for other in dict.fromkeys(fields.values()):
        listed += "\n".join(
            [f'conflicts with "{other}":', *(f"- {field}" for field in fields if fields[field] == other)]
        )
    return ApiError(409, "Conflict", f"Apply failed with {len(fields)} conflicts: {listed}")


def _remove(obj: Object, path: Path) -> bool:
    """Removes one field, and what it leaves empty on the way up. Says whether `obj` is now without content."""
    key, rest = path[0][2:], path[1:]
    if key in obj and (not rest or _remove(obj[key], rest)):
        del obj[key]
    return not obj
