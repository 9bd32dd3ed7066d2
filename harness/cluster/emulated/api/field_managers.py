"""Who set which field: server-side apply and managedFields. Pure.

A path is a tuple of FieldsV1 elements, such as ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:targetPort").
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

from harness.cluster.emulated.api.errors import ApiError
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.patches import identity, keys_of

Path = tuple[str, ...]
_UNOWNED = {"apiVersion", "kind", "status"}
_UNOWNED_METADATA = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "generateName",
    "selfLink",
}


def leaves(obj: Object) -> dict[Path, Any]:
    """Each field an object sets, by path, with its value; lists without keys are one value."""
    found: dict[Path, Any] = {}
    for key, value in obj.items():
        if key == "metadata":
            _walk({k: v for k, v in value.items() if k not in _UNOWNED_METADATA}, ("f:metadata",), found)
        elif key not in _UNOWNED:
            _value(key, value, (f"f:{key}",), found)
    return found


def _walk(obj: Object, at: Path, found: dict[Path, Any]) -> None:
    for key, value in obj.items():
        _value(key, value, (*at, f"f:{key}"), found)


def _value(key: str, value: Any, at: Path, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value:
        _walk(value, at, found)
    elif isinstance(value, list) and (keys := keys_of(key, value)):
        for item in value:
            mine = dict(zip(keys, identity(item, keys), strict=True))
            inside = (*at, "k:" + json.dumps(mine, separators=(",", ":")))
            found[(*inside, ".")] = None
            _walk({name: part for name, part in item.items() if name not in keys}, inside, found)
    else:
        found[at] = value


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


def owned(obj: Object) -> dict[tuple[str, str], set[Path]]:
    """Paths by (manager, operation), from an object's managedFields."""
    entries = obj.get("metadata", {}).get("managedFields") or []
    return {(entry["manager"], entry["operation"]): paths(entry["fieldsV1"]) for entry in entries}


def record(obj: Object, owners: dict[tuple[str, str], set[Path]], now: str) -> None:
    """Writes managedFields; managers that own nothing are left out."""
    obj["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": operation,
            "apiVersion": obj["apiVersion"],
            "time": now,
            "fieldsType": "FieldsV1",
            "fieldsV1": nested(mine),
        }
        for (manager, operation), mine in owners.items()
        if mine
    ]


def updated(before: Object | None, after: Object, manager: str, now: str) -> None:
    """Gives `manager` the fields that a create, replace or patch changed, and takes them from all others."""
    old, new = leaves(before) if before else {}, leaves(after)
    changed = {path for path, value in new.items() if path not in old or old[path] != value}
    owners = owned(before) if before else {}
    for mine in owners.values():
        mine -= changed
        mine &= set(new)
    owners.setdefault((manager, "Update"), set()).update(changed)
    record(after, owners, now)


def apply(live: Object, wanted: Object, manager: str, *, force: bool, now: str) -> Object:
    """Server-side apply of `wanted` to `live`, which stays as it is; fields no longer applied are removed.

    Raises:
        ApiError: 409, another manager has set one of the fields to another value and `force` is false.
    """
    me, setting = (manager, "Apply"), leaves(wanted)
    owners, have = owned(live), leaves(live)
    contested = {
        path: other
        for other, theirs in owners.items()
        if other != me
        for path in theirs & set(setting)
        if have.get(path) != setting[path]
    }
    if contested and not force:
        raise _conflict(contested)
    for other, theirs in owners.items():
        if other != me:
            theirs -= set(contested)
    kept_by_others = set().union(*(theirs for other, theirs in owners.items() if other != me))
    result = copy.deepcopy(live)
    gone = owners.get(me, set()) - set(setting) - kept_by_others
    for path in sorted(gone, key=lambda path: path[-1] == "."):  # an item itself after what is in it
        _remove(result, path)
    _merge(result, {k: v for k, v in wanted.items() if k != "status"})
    owners[me] = set(setting)
    record(result, owners, now)
    return result


def _conflict(contested: dict[Path, tuple[str, str]]) -> ApiError:
    fields = {_dotted(path): f'conflict with "{other[0]}"' for path, other in contested.items()}
    listed = "\n".join(f"- {field}: {why}" for field, why in fields.items())
    plural = "s" if len(fields) > 1 else ""
    return ApiError(
        409, "Conflict", f"Apply failed with {len(fields)} conflict{plural}: conflicts:\n{listed}", fields=fields
    )


def _dotted(path: Path) -> str:
    return "".join(f".{part[2:]}" if part.startswith("f:") else f"[{part[2:]}]" for part in path if part != ".")


def _merge(target: Object, wanted: Object) -> None:
    for key, value in wanted.items():
        have = target.get(key)
        if isinstance(value, dict) and isinstance(have, dict) and value:
            _merge(have, value)
        elif isinstance(value, list) and isinstance(have, list) and (keys := keys_of(key, value)):
            target[key] = _merge_list(have, value, keys)
        else:
            target[key] = copy.deepcopy(value)


def _merge_list(have: list[Any], wanted: list[Any], keys: tuple[str, ...]) -> list[Any]:
    by_identity = {identity(item, keys): item for item in have}
    for item in wanted:
        known = by_identity.get(identity(item, keys))
        if known is None:
            have.append(copy.deepcopy(item))
        else:
            _merge(known, item)
    return have


def _remove(obj: Any, path: Path) -> bool:
    """Removes one field, and what it leaves empty on the way up. Says whether `obj` is now without content."""
    part, rest = path[0], path[1:]
    if part.startswith("k:"):
        wanted = json.loads(part[2:])
        keys = tuple(wanted)
        for item in [item for item in obj if identity(item, keys) == tuple(wanted.values())]:
            if rest != (".",):
                _remove(item, rest)
            elif not set(item) - set(keys):
                obj.remove(item)
    elif part[2:] in obj and (not rest or _remove(obj[part[2:]], rest)):
        del obj[part[2:]]
    return not obj
