"""Strategic merge and JSON patches, and the list keys that the first and server-side apply go by. Pure."""

from __future__ import annotations

import copy
from typing import Any

from harness.cluster.emulated.api.errors import bad
from harness.cluster.emulated.api.kinds import Object

# Lists whose items have an identity, by field name; any other list is replaced as a whole. `ports` holds container
# ports in pods and Service ports in Services, which Kubernetes keys differently.
LIST_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "imagePullSecrets": (("name",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "ownerReferences": (("uid",),),
    "listeners": (("name",),),
    "conditions": (("type",),),
}
_ASSUMED = {"protocol": "TCP"}


def keys_of(field: str, items: list[Any]) -> tuple[str, ...]:
    """The names that identify an item of the list `field`; empty for a list that is one value."""
    for keys in LIST_KEYS.get(field, ()):
        if items and all(isinstance(item, dict) and keys[0] in item for item in items):
            return keys
    return ()


def identity(item: Object, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, _ASSUMED.get(key)) for key in keys)


def strategic(target: Any, patch: Any, field: str = "") -> Any:
    """Strategic merge patch: as RFC 7386, but items of keyed lists are merged one by one; `$patch: delete` removes.

    Raises:
        ApiError: 400, a directive other than `$patch: delete` on a list item.
    """
    if isinstance(patch, dict):
        result = dict(target) if isinstance(target, dict) else {}
        for key, value in patch.items():
            if key.startswith("$"):
                raise bad(f"{key}: this directive of strategic merge is not emulated")
            if value is None:
                result.pop(key, None)
            else:
                result[key] = strategic(result.get(key), value, key)
        return result
    if isinstance(patch, list) and isinstance(target, list) and (keys := keys_of(field, patch)):
        return _strategic_list(target, patch, keys)
    return copy.deepcopy(patch)


def _strategic_list(target: list[Any], patch: list[Any], keys: tuple[str, ...]) -> list[Any]:
    result = list(target)
    fresh: list[Any] = []
    for item in patch:
        wanted = identity(item, keys)
        at = next((i for i, have in enumerate(result) if identity(have, keys) == wanted), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            fresh.append(strategic(None, item))
        else:
            result[at] = strategic(result[at], item)
    return fresh + result  # the API server puts new items first, as the recorded Service with a patched port shows


def json_patch(target: Object, operations: list[Object]) -> Object:
    """JSON patch (RFC 6902): add, replace, remove, test.

    Raises:
        ApiError: 400 for another operation or a path that is not there; 422 for a test that does not hold.
    """
    result = copy.deepcopy(target)
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            _one(result, operation["op"], path, operation.get("value"))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise bad(f"the JSON patch operation {operation['op']} {operation['path']} cannot be done") from error
    return result


def _one(document: Any, op: str, path: list[str], value: Any) -> None:
    holder = document
    for part in path[:-1]:
        holder = holder[int(part)] if isinstance(holder, list) else holder[part]
    last = path[-1]
    if isinstance(holder, list):
        if op == "add":
            holder.insert(len(holder) if last == "-" else int(last), value)
        elif op == "replace":
            holder[int(last)] = value
        elif op == "remove":
            del holder[int(last)]
        elif op != "test" or holder[int(last)] != value:
            raise ValueError(op)
    elif op == "add" or (op == "replace" and last in holder):
        holder[last] = value
    elif op == "remove":
        del holder[last]
    elif op != "test" or holder[last] != value:
        raise ValueError(op)
