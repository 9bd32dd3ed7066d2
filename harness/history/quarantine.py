"""Reads quarantine.yaml: tests that do not decide a run's result, each with a reason and dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness import strict_yaml
from harness.outcome import FAILURES
from harness.pydantic_message import validate_file
from harness.report.results import ClaimResult

FILE = Path(__file__).resolve().parents[2] / "quarantine.yaml"
LONGEST = 90  # days: what is still flaky then is mended or deleted


class Entry(BaseModel):
    """Why a test is in quarantine, since when, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, Field(min_length=10)]
    since: date
    until: date

    @model_validator(mode="after")
    def _bounded(self) -> Entry:
        if not 0 < (self.until - self.since).days <= LONGEST:
            raise ValueError(f"`until` is not 1 to {LONGEST} days after `since`")
        return self


class Quarantine(BaseModel):
    """All of quarantine.yaml: entries by test id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tests: Mapping[str, Entry] = Field(default_factory=dict)

    def excuses(self, verdicts: Iterable[ClaimResult], today: date) -> tuple[bool, list[str]]:
        """Whether nothing but tests in quarantine spoke against a run, and a sentence on each entry that matters to it:
        a quarantined test that ran, or one that is over."""
        lines, others = [], False
        for verdict in verdicts:
            entry = self.tests.get(verdict.id)
            counts = entry is None or today > entry.until
            if entry:
                ends = f"{'over since' if counts else 'until'} {entry.until}, since {entry.since}"
                lines.append(f"quarantine ({ends}): {verdict.id}: {verdict.outcome}: {entry.reason}")
            others |= counts and verdict.outcome in FAILURES
        return not others, lines


def load(file: Path = FILE) -> Quarantine:
    """Reads and checks quarantine.yaml.

    Raises:
        BadInput: it cannot be read, or an entry lacks its reason or a date.
    """
    raw = strict_yaml.read_yaml(file, remedy="restore it: git checkout quarantine.yaml")
    return validate_file(Quarantine, raw or {}, file, remedy="each test needs reason, since and until")
