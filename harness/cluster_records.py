"""Files that record created clusters and objects, so that `make clean` can remove those of a killed run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from harness import settings
from harness.errors import BadInput, SetupFailed

_STALE = 86400.0  # seconds since a cluster went, after which its folder may go
APPLIED = "applied.json"  # in a cluster's folder: what a run's tests have applied and not yet taken away


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster of ours: where it is, which process made it, and what it needs to be taken away."""

    kind: str
    name: str
    pid: int
    made: float
    details: dict[str, str] = field(default_factory=dict)

    @property
    def is_alive(self) -> bool:
        """Whether the process that made it still runs (and is not another one with its number)."""
        try:
            return psutil.Process(self.pid).create_time() <= self.made + 1
        except psutil.Error:
            return False

    @property
    def is_in_use_by_another_run(self) -> bool:
        """Whether another run that still goes on made it."""
        return self.is_alive and self.pid != settings.owner_pid()


def record_folder(state: Path, kind: str, name: str) -> Path:
    """Where a cluster's own files lie: kubeconfig, helm caches, record."""
    path = state / f"{kind}-{name}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise BadInput(
            f"cannot keep state in {path}: {error.strerror}", remedy="set STATE= (E2E_STATE) to a folder"
        ) from None
    return path


def write_record(state: Path, record: Record) -> None:
    """Keeps the record, whole or not at all."""
    write_atomically(
        record_folder(state, record.kind, record.name) / "record.json", json.dumps(asdict(record), indent=1)
    )


def write_atomically(file: Path, text: str) -> None:
    """Writes a file whole or not at all: a process killed meanwhile leaves the one of before.

    Raises:
        SetupFailed: it cannot be written (a full disk).
    """
    partial = file.with_name(f"partial-{file.name}")
    try:
        partial.write_text(text)
        partial.replace(file)
    except OSError as error:
        raise SetupFailed(
            f"cannot write {file}: {error.strerror}", remedy="free some space there, or set STATE= to another folder"
        ) from None


def refuse_in_use(record: Record | None, what: str) -> None:
    """
    Raises:
        BadInput: another run that still goes on uses it; the message names that run's process.
    """
    if record and record.is_in_use_by_another_run:
        raise BadInput(
            f"{what} is in use by process {record.pid}",
            remedy="wait for that run: both would undo each other; or choose another CLUSTER_NAME=… (or NAMESPACE=…)",
        )


def refuse_kept(record: Record | None, asked: Mapping[str, str], what: str) -> None:
    """Compares what a cluster was made with, by its record, with what is asked for now. What an older record does not
    say is not compared.

    Raises:
        BadInput: they differ: every version in a report about it would be wrong.
    """
    for name, wanted in asked.items():
        found = record.details.get(name, wanted) if record else wanted
        if found != wanted:
            raise BadInput(
                f"{what} was kept with {name} {found}, this run asks for {name} {wanted}",
                remedy="`make clean` deletes it; or choose another name (CLUSTER_NAME=…)",
            )


def delete_record(state: Path, kind: str, name: str) -> None:
    """The cluster is gone, and with it what its tests had applied."""
    for file in ("record.json", APPLIED):
        (record_folder(state, kind, name) / file).unlink(missing_ok=True)


def prune(state: Path, now: float) -> list[str]:
    """Deletes the folders of kind and emulated clusters that are gone, a day after they went, and returns their names.
    What runs leave on existing clusters is noted in theirs: those stay."""
    gone = []
    for path in sorted([*state.glob("kind-*"), *state.glob("emulated-*")]):
        idle = now - path.stat().st_mtime > _STALE
        if path.is_dir() and not path.is_symlink() and idle and not (path / "record.json").exists():
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path.name)
    return gone


def find_record(state: Path, kind: str, name: str) -> Record | None:
    """The record of that cluster, if there is one."""
    return next((record for record in read_records(state) if (record.kind, record.name) == (kind, name)), None)


def read_records(state: Path) -> list[Record]:
    """All records; one that cannot be read is reported by its file's name in `details`."""
    found = []
    for file in sorted(state.glob("*/record.json")):
        try:
            found.append(Record(**json.loads(file.read_text())))
        except (ValueError, TypeError):
            kind, _, name = file.parent.name.partition("-")
            found.append(Record(kind, name, 0, 0.0, details={"unreadable": str(file)}))
    return found
