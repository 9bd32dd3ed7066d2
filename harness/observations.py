"""What was seen, by whom, for the test that runs now. Clients and proxies write to it; reports read it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sighting:
    """One witness's word: `who` ("client", "waypoint access log", "limiter counter") saw `what`, `at` epoch seconds."""

    who: str
    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured time in seconds: `name` ("circuit breaker: Accepted to enforced") and what it was measured on."""

    name: str
    seconds: float
    of: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Text worth keeping with a result: `name` ends in .yaml, .json or .txt."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of the run's: `table` is its title, `cells` its texts by column."""

    table: str
    cells: Mapping[str, str]


@dataclass
class Ledger:
    """The record of one test (or of the session's setup, for `test` = "")."""

    test: str = ""
    sightings: list[Sighting] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def witnesses(self) -> list[str]:
        """Who saw anything, each once, in order."""
        return list(dict.fromkeys(s.who for s in self.sightings))

    def share(self, seen: Iterable[Sighting]) -> None:
        """Takes in what was seen for several tests at once, in the order of time; what is here already stays once."""
        self.sightings[:] = sorted(dict.fromkeys([*seen, *self.sightings]), key=lambda sighting: sighting.at)


_book: dict[str, Ledger] = {"": Ledger()}
_current = ""


def turn_to(test: str) -> Ledger:
    """Opens the page of this test; all that is seen from now on is written there."""
    global _current  # pytest runs one test at a time in a process: so does the book
    _current = test
    return _book.setdefault(test, Ledger(test))


def page(test: str = "") -> Ledger:
    """The page of a test; an empty one if it saw nothing."""
    return _book.setdefault(test, Ledger(test))


def current() -> Ledger:
    """The page that is written to now."""
    return page(_current)


def pages() -> list[Ledger]:
    return list(_book.values())


def saw(who: str, what: str) -> None:
    current().sightings.append(Sighting(who, what, time.time()))


def measured(name: str, seconds: float, *, of: str = "") -> None:
    current().figures.append(Figure(name, seconds, of))


def attach(name: str, text: str) -> None:
    current().attachments.append(Attachment(name, text))


def tabulate(table: str, cells: Mapping[str, str]) -> None:
    current().rows.append(Row(table, cells))


def tables() -> dict[str, list[Mapping[str, str]]]:
    """All rows of all pages by table, in the order they came."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in (row for one in pages() for row in one.rows):
        found.setdefault(row.table, []).append(row.cells)
    return found
