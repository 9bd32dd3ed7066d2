"""Safe access to JSON values of unknown shape.

Statuses are written by others and may be half there while a controller works. Each function here gives
an empty value where the wanted shape is missing, and never raises.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
"""One JSON object: what `json.loads` gives for `{...}`."""


def at(value: object, *path: str) -> object:
    """The value behind the keys of path, or None as soon as one of them does not exist."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def mapping(value: object, *path: str) -> Json:
    """The JSON object at path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, Mapping) else {}


def objects(value: object, *path: str) -> Iterator[Json]:
    """The JSON objects of the list at path, in order; whatever in it is no object is left out."""
    found = at(value, *path)
    if isinstance(found, list | tuple):
        yield from (item for item in found if isinstance(item, Mapping))


def strings(value: object, *path: str) -> tuple[str, ...]:
    """The strings of the list at path, in order; whatever in it is no string is left out."""
    found = at(value, *path)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list | tuple) else ()


def text(value: object, *path: str) -> str:
    """The string at path, or ""."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def maybe_text(value: object, *path: str) -> str | None:
    """The string at path, or None."""
    found = at(value, *path)
    return found if isinstance(found, str) else None


def maybe_number(value: object, *path: str) -> int | None:
    """The whole number at path, or None. A JSON true is no number."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def number(value: object, *path: str) -> int:
    """The whole number at path, or 0, which is what Kubernetes means by a count it leaves out."""
    return maybe_number(value, *path) or 0


def name_of(obj: object) -> str:
    """How a message names a Kubernetes object: "Gateway default/waypoint", "GatewayClass eg-ingress"."""
    namespace, name = text(obj, "metadata", "namespace"), text(obj, "metadata", "name") or "?"
    return f"{text(obj, 'kind') or 'object'} {namespace + '/' if namespace else ''}{name}"


def one_line(message: str) -> str:
    """The message with every run of white space as one space, so that it fits one line of a report."""
    return " ".join(message.split())
