"""The mark `feature(name, place=, means=, since=, before=)`: a test's cell in the support table.

`place` is where the feature is tried; a test with the parameter `place` needs not repeat it. `means` says what it means
for the feature that the claim holds: it works ("held"), the cluster accepts it and does nothing ("ignored"), or the
claim states a defect ("broken"). Outside of the Envoy Gateway versions from `since` up to, not including, `before`
("1.8") the test is skipped: the feature is not offered, or another test has that cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from harness.errors import BadInput
from harness.report.support_table import ANOTHER, MEANINGS, NOT_OFFERED

HELP = 'feature(name, place="", means="held", since="", before=""): a cell of the support table'


@dataclass(frozen=True, slots=True)
class Row:
    """What the mark says of one test."""

    feature: str
    place: str
    means: str = "held"
    since: str = ""
    before: str = ""

    def skipped(self, envoy_gateway: str) -> str:
        """Why the test says nothing of this version ("1.7.5"); empty where it does."""
        if self.since and _number(envoy_gateway) < _number(self.since):
            return f"{NOT_OFFERED} by Envoy Gateway {envoy_gateway}: since {self.since}"
        if self.before and _number(envoy_gateway) >= _number(self.before):
            return f"{ANOTHER}: this one is about Envoy Gateway before {self.before}"
        return ""


def row_of(item: pytest.Item) -> Row | None:
    """The mark of a test; of a case with a parameter `place` with that place. None without one, or if it is wrong."""
    found = _read(item)
    return found if isinstance(found, Row) else None


def wrong(item: pytest.Item) -> BadInput | None:
    """What is wrong with the mark: it lacks a name or a place, or has an unknown word."""
    found = _read(item)
    return found if isinstance(found, BadInput) else None


def parameters(item: pytest.Item) -> Mapping[str, object]:
    """The values of a parametrized test's parameters, by name."""
    found: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return found


def _read(item: pytest.Item) -> Row | BadInput | None:
    mark = item.get_closest_marker("feature")
    if mark is None:
        return None
    try:
        row = Row(*mark.args, **{"place": str(parameters(item).get("place", "")), **mark.kwargs})
    except TypeError as error:
        return BadInput(f"{item.nodeid}: {error}", remedy=f"write the mark as {HELP}")
    if row.feature and row.place and row.means in MEANINGS:
        return row
    return BadInput(
        f"{item.nodeid}: feature {row.feature!r}, place {row.place!r}, means {row.means!r}",
        remedy=f"name a feature and a place, and one of {', '.join(MEANINGS)}",
    )


def _number(version: str) -> tuple[int, ...]:
    """The minor: (1, 7) of "1.7.5"."""
    return tuple(int(part) for part in version.split(".")[:2])
