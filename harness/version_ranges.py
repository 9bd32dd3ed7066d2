"""Ranges of versions, such as ">=1.8,<=1.9". Pure."""

from __future__ import annotations

import re
from typing import Literal

Operator = Literal[">=", "<=", "==", "!=", ">", "<"]
_PART = re.compile(r"\s*(?P<operator>>=|<=|==|!=|>|<)\s*v?(?P<version>\d+(?:\.\d+){0,2})\s*")


def numbers(version: str) -> tuple[int, ...]:
    """(1, 29, 6) of "1.29.6-rc.1"."""
    return tuple(int(part) for part in version.partition("-")[0].split("."))


def compare(version: str, operator: Operator, limit: str) -> bool:
    """Compared as far as `limit` goes: 1.29.6 is == 1.29 and <= 1.29, and not > 1.29."""
    wanted = numbers(limit)
    found = numbers(version)[: len(wanted)]
    match operator:
        case "==":
            return found == wanted
        case "!=":
            return found != wanted
        case ">=":
            return found >= wanted
        case "<=":
            return found <= wanted
        case ">":
            return found > wanted
        case "<":
            return found < wanted


def parse(text: str) -> tuple[tuple[Operator, str], ...]:
    """The comparisons of a range, which must all hold.

    Raises:
        ValueError: a part of it is no comparison.
    """
    found: list[tuple[Operator, str]] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part.strip()!r} is not a comparison such as >=1.8")
        found.append((match["operator"], match["version"]))  # type: ignore[arg-type]  # as matched
    return tuple(found)


def contains(text: str, version: str) -> bool:
    """Whether a version is in a range."""
    return all(compare(version, operator, limit) for operator, limit in parse(text))


def distance(text: str, version: str) -> tuple[int, ...]:
    """How far a version is from the nearest limit of a range, by numbers from the first on; zeros within the range."""
    if contains(text, version):
        return (0, 0, 0)
    found = (*numbers(version), 0, 0)[:3]
    return min(
        tuple(abs(one - other) for one, other in zip(found, (*numbers(limit), 0, 0)[:3], strict=True))
        for _, limit in parse(text)
    )
