"""The history database: an SQLite file with every test's outcome in every run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput
from harness.report.results_file import read_results

FORMAT = 1
_SCHEMA = """
CREATE TABLE runs (
  key TEXT PRIMARY KEY, started TEXT NOT NULL, cluster TEXT NOT NULL, versions TEXT NOT NULL, folder TEXT NOT NULL);
CREATE TABLE outcomes (
  run TEXT NOT NULL REFERENCES runs (key) ON DELETE CASCADE, test TEXT NOT NULL, source TEXT NOT NULL,
  outcome TEXT NOT NULL, seconds REAL NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (run, test));
CREATE INDEX by_test ON outcomes (test);
"""


@dataclass(frozen=True, slots=True)
class Past:
    """One outcome of a test. `source` is a digest of its file and manifest at that time."""

    started: str
    cluster: str
    versions: str
    source: str
    outcome: str
    seconds: float
    reason: str


class History:
    """The database in a file, made when it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, run: Path) -> bool:
        """Adds a run folder; one that is there already changes nothing. Returns whether it was new.

        Raises:
            BadInput: the run folder or the database cannot be read, or is of a newer format.
        """
        found = read_results(run)
        versions = found["versions"]
        cluster = found["cluster"]["kind"]
        row = f"istio {versions.get('istio')} eg {versions.get('envoy-gateway')} k8s {versions.get('kubernetes')}"
        key = f"{found['started']} {cluster} {found['cluster']['name']} {found['set']}"
        sources: Mapping[str, str] = found.get("sources") or {}
        rows = [
            (
                key,
                test["id"],
                sources.get(test["id"].partition("::")[0], ""),
                test["outcome"],
                test["seconds"],
                test["reason"][:500],
            )
            for test in found["tests"]
            if test["id"].count("::")  # a file that could not be collected is no test
        ]
        with self._open() as base:
            if base.execute("SELECT 1 FROM runs WHERE key = ?", (key,)).fetchone():
                return False
            base.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", (key, found["started"], cluster, row, run.name))
            base.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", rows)
        return True

    def tests(self) -> list[str]:
        """Every test that ever ran, by id."""
        with self._open() as base:
            return [row[0] for row in base.execute("SELECT DISTINCT test FROM outcomes ORDER BY test")]

    def of(self, test: str, cluster: str = "") -> list[Past]:
        """Outcomes of a test, oldest first; of one kind of cluster if it is named."""
        query = (
            "SELECT started, cluster, versions, source, outcome, seconds, reason FROM outcomes "
            "JOIN runs ON runs.key = run WHERE test = ? AND (? = '' OR cluster = ?) ORDER BY started, key"
        )
        with self._open() as base:
            return [Past(*row) for row in base.execute(query, (test, cluster, cluster))]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The database for one transaction.

        Raises:
            BadInput: it is not such a database, of a newer format, or cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            base = sqlite3.connect(self.path, timeout=30)
            try:
                format_ = int(base.execute("PRAGMA user_version").fetchone()[0])
                if format_ > FORMAT:
                    raise BadInput(
                        f"{self.path} is of format {format_}, this mesh-e2e reads {FORMAT}", remedy="update mesh-e2e"
                    )
                if format_ == 0:
                    base.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
                with base:
                    yield base
            finally:
                base.close()
        except (sqlite3.Error, OSError) as error:
            raise BadInput(f"history {self.path}: {error}", remedy="name another file: --database") from None


def latest_source(past: Sequence[Past]) -> list[Past]:
    """The outcomes since the test or its manifest last changed: earlier ones are of another test."""
    if not past:
        return []
    last = past[-1].source
    kept: list[Past] = []
    for one in reversed(past):
        if one.source != last:
            break
        kept.append(one)
    return kept[::-1]
