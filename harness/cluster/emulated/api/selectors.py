"""Label and field selectors, as queries write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.cluster.emulated.api.errors import bad
from harness.cluster.emulated.api.kinds import Object

Matches = Callable[[Object], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()]*)\s*$")
_PRESENT = re.compile(r"^\s*(?P<op>!?)\s*(?P<key>[^\s!=,()]+)\s*$")


def labels(text: str) -> Matches:
    """Whether an object's labels match a selector such as `a=b,c!=d,e in (f,g),!h`.

    Raises:
        ApiError: 400, the text is no selector.
    """
    requirements = [_requirement(part) for part in _split(text)]
    return lambda obj: all(one(obj["metadata"].get("labels") or {}) for one in requirements)


def fields(text: str) -> Matches:
    """Whether an object's fields match a selector such as `metadata.name=a,status.phase!=Running`.

    Raises:
        ApiError: 400, the text is no selector.
    """
    wanted: list[tuple[list[str], str, bool]] = []
    for part in filter(None, text.split(",")):
        found = _EQUAL.match(part)
        if not found:
            raise bad(f"unable to parse field selector {part!r}")
        wanted.append((found["key"].split("."), found["value"], found["op"] != "!="))
    return lambda obj: all((_at(obj, path) == value) is equal for path, value, equal in wanted)


def matching(selector: Mapping[str, Any]) -> Matches:
    """Whether an object's labels match a LabelSelector with `matchLabels`."""
    return having(selector.get("matchLabels") or {})


def having(wanted: Mapping[str, str]) -> Matches:
    """Whether an object has all of these labels; none at all select nothing."""

    def matches(obj: Object) -> bool:
        present = obj["metadata"].get("labels") or {}
        return bool(wanted) and all(present.get(key) == value for key, value in wanted.items())

    return matches


def _split(text: str) -> list[str]:
    return [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key, op, values = found["key"], found["op"], {value.strip() for value in found["values"].split(",")}
        return lambda have: (have.get(key) in values) is (op == "in")
    if found := _EQUAL.match(text):
        key, op, value = found["key"], found["op"], found["value"]
        return lambda have: (have.get(key) == value) is (op != "!=")
    if found := _PRESENT.match(text):
        key, op = found["key"], found["op"]
        return lambda have: (key in have) is (op != "!")
    raise bad(f"unable to parse label selector {text!r}")


def _at(obj: Object, path: list[str]) -> str:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)
