"""The data type of an audit finding, and of what could not be checked. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from harness.objects.unstructured import Json, name_of

Severity = Literal["low", "medium", "high"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition found. id names a page of docs/audit; objects are "Kind namespace/name", the first the one to mend;
    evidence quotes what was read, a line each."""

    id: str
    severity: Severity
    objects: tuple[str, ...]
    sentence: str
    evidence: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same check and objects from one audit to the next, whatever the evidence says."""
        return hashlib.sha256("\n".join((self.id, *self.objects)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class NotJudged:
    """A check, or a part of one, that could not be judged, and why. It is never the same as "nothing found"."""

    id: str
    reason: str


Result = Finding | NotJudged


def make_finding(id: str, severity: Severity, subjects: Json | list[Json], sentence: str, *evidence: str) -> Finding:
    """A finding about these objects."""
    those = subjects if isinstance(subjects, list) else [subjects]
    return Finding(id, severity, tuple(name_of(one) for one in those), sentence, evidence)
