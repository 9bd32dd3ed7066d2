"""The list of known signs of trouble, each with reason and link."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from harness.errors import BadInput
from harness.objects.unstructured import mapping, objects, strings, text
from harness.oracles.signs import Sign
from harness.strict_yaml import parse_yaml

FILE = Path(__file__).with_name("known.yaml")


@dataclass(frozen=True, slots=True)
class KnownSign:
    """One expected sign; see known.yaml for the fields."""

    id: str
    match: re.Pattern[str]
    seen_by: tuple[str, ...]
    may_be_seen_by: tuple[str, ...]
    until: date | None
    reason: str
    link: str

    def matches(self, sign: Sign, files: Collection[str]) -> bool:
        """Whether this sign is the expected one, and is expected now: one of the files that bring it about ran."""
        ran = any(f in files for f in (*self.seen_by, *self.may_be_seen_by))
        return ran and bool(self.match.search(str(sign)))


@dataclass(frozen=True, slots=True)
class SortedSigns:
    """Signs that were not expected, those that were (with the entry's id), and in words: entries that have expired in
    this area, and entries whose day has come, in whatever area."""

    new: tuple[Sign, ...]
    excused: tuple[tuple[str, Sign], ...]
    expired: tuple[str, ...]
    due: tuple[str, ...]


def read_known_signs(file: Path = FILE) -> tuple[KnownSign, ...]:
    """The list.

    Raises:
        BadInput: an entry lacks its reason, its link, the files that bring it about, or an end (until, where nothing
            must be seen); or a date or pattern is none.
    """
    found = []
    for entry in objects(parse_yaml(file.read_text()) or {}, "known"):
        name = text(entry, "id") or "?"
        day = mapping(entry).get("until")
        if not (text(entry, "match") and text(entry, "reason") and text(entry, "link")):
            raise BadInput(f"{file.name}: {name} needs match, reason and link")
        seen_by, may_be_seen_by = strings(entry, "seen_by"), strings(entry, "may_be_seen_by")
        if not (seen_by or may_be_seen_by):
            raise BadInput(f"{file.name}: {name} needs seen_by or may_be_seen_by: otherwise it would excuse every area")
        if not seen_by and not isinstance(day, date):
            raise BadInput(f"{file.name}: {name} needs seen_by or until (a day): otherwise it would stay forever")
        try:
            pattern = re.compile(text(entry, "match"), re.DOTALL)
        except re.error as error:
            raise BadInput(f"{file.name}: {name}: match is not a pattern: {error}") from None
        until = day if isinstance(day, date) else None
        found.append(
            KnownSign(name, pattern, seen_by, may_be_seen_by, until, text(entry, "reason"), text(entry, "link"))
        )
    return tuple(found)


def sort_signs(
    signs: Iterable[Sign],
    known: Sequence[KnownSign],
    *,
    files: Collection[str],
    today: date,
    elsewhere: Collection[Sign] = (),
) -> SortedSigns:
    """Sorts the signs of one area. files are those whose tests ran in it ("suites/area/test_x.py"). Signs `elsewhere`
    judge nothing, but an entry that covers one of them was seen."""
    new, excused = [], []
    for sign in signs:
        entry = next((k for k in known if k.matches(sign, files)), None)
        if entry is None:
            new.append(sign)
        else:
            excused.append((entry.id, sign))
    seen = {id_ for id_, _ in excused} | {k.id for k in known if any(k.matches(sign, files) for sign in elsewhere)}
    expired = [
        f"known sign {k.id} was not seen though {', '.join(f for f in k.seen_by if f in files)} ran: it has expired"
        for k in known
        if k.id not in seen and any(f in files for f in k.seen_by)
    ]
    due = [
        f"known sign {k.id} was to be looked at again by {k.until}: {k.link}"
        for k in known
        if k.until and today > k.until
    ]
    return SortedSigns(tuple(new), tuple(excused), tuple(expired), tuple(due))
