"""Writes issue texts for failed cells of the matrix, one for each cause. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from string import Template

from harness.matrix.folder import Ended
from harness.outcome import Outcome

_TITLE = 120  # characters of the cause in an issue's title


def issues(ended: Mapping[str, Ended], template: str, url: str) -> dict[str, str]:
    """The text of an issue by the key of its cause, which stays the same from night to night.

    A cause is the reason of a broken cell or of one in error, whatever numbers are in it. `template` has $cause, $cells
    (rows of a table), $reason, $key and $url; its first line is the title.
    """
    causes: dict[str, list[Ended]] = {}
    for one in ended.values():
        if one.outcome in (Outcome.BROKEN, Outcome.ERROR):
            causes.setdefault(cause_key(one), []).append(one)
    return {key: _text(key, cells, template, url) for key, cells in causes.items()}


def cause_key(cell: Ended) -> str:
    """A short key of a cell's cause: numbers in it, such as seconds and ports, make no difference."""
    return "nightly-" + sha256(f"{cell.outcome} {re.sub(r'[0-9]+', '0', cell.why)}".encode()).hexdigest()[:12]


def _text(key: str, cells: list[Ended], template: str, url: str) -> str:
    reason = " ".join(cells[0].why.split()).replace("```", "'''") or "no reason is recorded"
    rows = "\n".join(f"| {one.name} | {one.outcome} | {one.seconds:.0f} |" for one in cells)
    cause = reason if len(reason) <= _TITLE else f"{reason[: _TITLE - 1]}…"
    return Template(template).substitute(cause=cause, cells=rows, reason=reason, key=key, url=url)
