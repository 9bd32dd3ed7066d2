"""The data type of one row of the preflight table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.cluster.protocol import Capability

Judgeable = Literal["judged", "not judged", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one subject. `lacks` are the capabilities without which tests are skipped; "unknown" is what
    could not be read: no test is skipped for it."""

    subject: str
    found: str
    verdict: Judgeable = "judged"
    lacks: tuple[Capability, ...] = ()
    reason: str = ""
    remedy: str = ""


def judged(subject: str, found: str, reason: str = "") -> Row:
    """A subject that stands in the way of nothing; `reason` is worth knowing all the same."""
    return Row(subject, found, reason=reason)


def not_judged(subject: str, found: str, *lacks: Capability, reason: str, remedy: str) -> Row:
    """A subject for which tests are skipped."""
    return Row(subject, found, "not judged", lacks, reason, remedy)


def unknown(subject: str, reason: str, remedy: str = "") -> Row:
    """A subject that could not be read."""
    return Row(subject, "?", "unknown", (), reason, remedy)
