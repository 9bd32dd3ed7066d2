"""The observations of the current test: clients and proxies write them, reports read them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Sighting:
    """One observation: `who` ("ingress client", "waypoint access log") saw `what`, `at` epoch seconds.

    `of` are the ids of the requests that it is about: those that a client sent, those whose access lines or connections
    were joined to them, those that were all that moved a counter. `probe`: of a request that a wait sent to see whether
    something is there yet, which is no evidence of what it does afterwards. `raw` is what it rests on, as it was
    received: log lines as written, answers as JSON.
    """

    who: str
    what: str
    at: float
    of: frozenset[str] = frozenset()
    probe: bool = False
    raw: tuple[str, ...] = ()


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
    def requests(self) -> frozenset[str]:
        """The ids of all requests that the test judges; probes are not among them."""
        return frozenset[str]().union(*(s.of for s in self.sightings))

    @property
    def kind(self) -> Literal["traffic", "status"]:
        """What the claim is about: traffic if the test judges requests, else statuses, configuration or counters."""
        return "traffic" if self.requests else "status"

    @property
    def witnesses(self) -> list[str]:
        """Who saw anything, each once, in order. Of a claim about traffic: who saw these very requests."""
        traffic = self.kind == "traffic"
        return list(dict.fromkeys(s.who for s in self.sightings if not s.probe and (s.of or not traffic)))

    @property
    def missing_witnesses(self) -> str:
        """Why the claim has not two witnesses of each of its requests; empty when it has, or is not about traffic."""
        saw: dict[str, set[str]] = {id: set() for id in self.requests}
        for sighting in self.sightings:
            for id in sighting.of:
                saw[id].add(sighting.who)
        alone = {id: who for id, who in saw.items() if len(who) < 2}
        if not alone:
            return ""
        only = ", ".join(sorted(set().union(*alone.values())))
        return f"{len(alone)} of {len(saw)} requests have one witness ({only}): a claim about traffic needs two of each"

    def share(self, seen: Iterable[Sighting]) -> None:
        """Takes in what was seen for several tests at once, in the order of time; what is here already stays once."""
        self.sightings[:] = sorted(dict.fromkeys([*seen, *self.sightings]), key=lambda sighting: sighting.at)


_book: dict[str, Ledger] = {"": Ledger()}
_current = ""
_probing = 0


def open_page(test: str) -> Ledger:
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


def record_sighting(who: str, what: str, *, of: Iterable[str] = (), raw: Iterable[str] = ()) -> None:
    """Records an observation; `of` are the ids of the requests that it is about, `raw` what it rests on."""
    ids = frozenset() if _probing else frozenset(of)
    current().sightings.append(Sighting(who, what, time.time(), ids, probe=_probing > 0, raw=tuple(raw)))


@contextmanager
def probing() -> Iterator[None]:
    """What is sent in the block only finds out whether something is there yet."""
    global _probing  # as the open page: one test at a time in a process
    _probing += 1
    try:
        yield
    finally:
        _probing -= 1


@contextmanager
def collecting_request_ids() -> Iterator[set[str]]:
    """The ids of the requests that are sent in the block, complete at its end."""
    ids, page = set[str](), current()
    begun = len(page.sightings)
    yield ids
    ids |= frozenset[str]().union(*(s.of for s in page.sightings[begun:]))


def record_seconds(name: str, seconds: float, *, of: str = "") -> None:
    current().figures.append(Figure(name, seconds, of))


def attach(name: str, text: str) -> None:
    current().attachments.append(Attachment(name, text))


def add_row(table: str, cells: Mapping[str, str]) -> None:
    current().rows.append(Row(table, cells))


def tables() -> dict[str, list[Mapping[str, str]]]:
    """All rows of all pages by table, in the order they came."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in (row for one in pages() for row in one.rows):
        found.setdefault(row.table, []).append(row.cells)
    return found
