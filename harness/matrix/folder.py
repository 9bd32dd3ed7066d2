"""The folder of a matrix: its plan, a record of each finished cell, and run folders.

    matrix.json                 the plan: cells, tests, cluster, a digest of the suites that are run
    lock                        held by the one process that runs it
    cells/<slug>/cell.json      a cell that has ended, written whole or not at all
    cells/<slug>/begun.json     a cell that is under way: the process that runs it
    cells/<slug>/output.txt     what the run printed
    cells/<slug>/runs/          its run folders, the last one is `run` in cell.json

All paths in it are relative, so that the folder can be moved, packed and merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from harness.cluster_records import write_atomically
from harness.errors import BadInput, SetupFailed
from harness.matrix.cells import Cell, cell_versions
from harness.matrix.plan import Plan, Planned, Refused
from harness.outcome import Outcome
from harness.pydantic_message import validate_file
from harness.report.results_file import read_json

SCHEMA: Literal["mesh-e2e/matrix/v1"] = "mesh-e2e/matrix/v1"
CELL_SCHEMA = "mesh-e2e/cell/v1"
PLAN_SCHEMA = "mesh-e2e/plan/v1"


class PlannedCell(BaseModel):
    """A cell of the plan: what VERSIONS= and UPGRADE_TO= are, and the seconds it was to take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    slug: str
    versions: str
    upgrade: str = ""
    seconds: float = 0.0


class Matrix(BaseModel):
    """matrix.json. `suites` is a digest of the tests and manifests: a later matrix compares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    format: Literal["mesh-e2e/matrix/v1"] = SCHEMA
    cluster: str
    tests: tuple[str, ...]
    suites: str
    cells: tuple[PlannedCell, ...]
    refused: tuple[tuple[str, str], ...] = ()

    def cell(self, name: str) -> PlannedCell:
        return next(one for one in self.cells if one.name == name)

    def differs(self, other: Matrix) -> str:
        """In what two plans differ, for a message; empty when they are the same (seconds aside)."""
        if (self.cluster, self.tests) != (other.cluster, other.tests):
            return f"cluster {self.cluster}, tests {' '.join(self.tests)}"
        mine, theirs = ({one.name for one in matrix.cells} for matrix in (self, other))
        if mine != theirs:
            apart = sorted(mine ^ theirs)
            return f"{len(mine)} cells, of which {len(mine - theirs)} are not in the other one (such as {apart[0]})"
        return "" if self.suites == other.suites else "other suites or manifests"


@dataclass(frozen=True, slots=True)
class Ended:
    """A cell that has ended. `counts` are those of its run's verdicts; `run` is relative to the cell's folder."""

    name: str
    outcome: Outcome
    exit: int
    seconds: float
    counts: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    run: str = ""
    started: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


class Folder:
    """A matrix's folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plan = path / "matrix.json"

    def cell(self, slug: str) -> Path:
        return self.path / "cells" / slug

    def matrix(self) -> Matrix:
        """
        Raises:
            BadInput: there is no matrix here, or it cannot be read, or its format is a newer one.
        """
        raw = read_json(self._plan, f"{self.path} is not a matrix's folder: it has no matrix.json", SCHEMA, "format")
        return validate_file(Matrix, raw, self._plan, remedy="name another folder")

    def begin(self, matrix: Matrix) -> Matrix:
        """Makes the folder, or goes on with the matrix that is there; returns its plan.

        Raises:
            BadInput: another matrix is there, or the folder holds something else.
        """
        if self._plan.exists():
            there = self.matrix()
            if apart := there.differs(matrix):
                raise BadInput(
                    f"{self.path} holds another matrix: {apart}",
                    remedy="name another folder, or run the same plan to go on with that one",
                )
            return there
        others = [one.name for one in self.path.iterdir() if one.name != "lock"] if self.path.is_dir() else []
        if others:
            raise BadInput(f"{self.path} is not empty and holds no matrix ({others[0]})", remedy="name another folder")
        _keep(self._plan, matrix.model_dump_json(indent=1))
        return matrix

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the folder for the block.

        Raises:
            BadInput: another process runs a matrix in it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / "lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise BadInput(
                f"another process runs a matrix in {self.path}", remedy="wait for it, or name another folder"
            ) from None
        except OSError as error:
            raise BadInput(
                f"cannot write {self.path}: {error.strerror or error}", remedy="name another folder"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def ended(self, slug: str) -> Ended | None:
        """The record of a cell; None while it has not ended.

        Raises:
            BadInput: it cannot be read, or its format is a newer one.
        """
        file = self.cell(slug) / "cell.json"
        if not file.exists():
            return None
        raw = read_json(file, "", CELL_SCHEMA, "format")
        try:
            return Ended(**{key: value for key, value in raw.items() if key != "format"})
        except TypeError as error:
            raise BadInput(
                f"{file} is not a cell's record: {error}", remedy=f"delete {file}: the cell runs again"
            ) from None

    def end(self, slug: str, ended: Ended) -> None:
        """Records a cell's end: from now on it is not run again.

        Raises:
            SetupFailed: it cannot be written.
        """
        _keep(self.cell(slug) / "cell.json", json.dumps({"format": CELL_SCHEMA} | asdict(ended), indent=1))
        (self.cell(slug) / "begun.json").unlink(missing_ok=True)

    def all_ended(self) -> dict[str, Ended]:
        """Every ended cell by name, in the plan's order."""
        found = ((one.name, self.ended(one.slug)) for one in self.matrix().cells)
        return {name: ended for name, ended in found if ended}


def read_plan(file: Path) -> Plan:
    """A plan that `mesh-e2e matrix plan --format json` wrote.

    Raises:
        BadInput: it is not one, or its format is a newer one.
    """
    raw = read_json(file, f"{file} is missing", PLAN_SCHEMA, "schema")
    try:
        cells = [
            Planned(Cell(*cell_versions(one["versions"]), one["upgrade"]), float(one["seconds"]), bool(one["measured"]))
            for one in raw["cells"]
        ]
        refused = [Refused(str(one["name"]), str(one["reason"])) for one in raw["refused"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{file} is not a plan: {error!r}", remedy="mesh-e2e matrix plan --format json") from None
    return Plan(tuple(cells), tuple(refused))


def _keep(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupFailed(f"cannot write {file}: {error.strerror or error}", remedy="free some space there") from None
    write_atomically(file, text)
