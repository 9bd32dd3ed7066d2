"""Records of what was made, one file each, so that `make clean` finds what a killed run left."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from harness.errors import BadInput


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster of ours: where it is, which process made it, and what it needs to be taken away."""

    kind: str
    name: str
    pid: int
    made: float
    details: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the process that made it still runs (and is not another one with its number)."""
        try:
            return psutil.Process(self.pid).create_time() <= self.made + 1
        except psutil.Error:
            return False


def folder(state: Path, kind: str, name: str) -> Path:
    """Where a cluster's own files lie: kubeconfig, helm caches, record."""
    path = state / f"{kind}-{name}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise BadInput(f"cannot keep state in {path}: {error.strerror}", remedy="set E2E_STATE to a folder") from None
    return path


def write(state: Path, record: Record) -> None:
    """Keeps the record, whole or not at all."""
    home = folder(state, record.kind, record.name)
    partial = home / "record.json.partial"
    partial.write_text(json.dumps(asdict(record), indent=1))
    partial.replace(home / "record.json")


def forget(state: Path, kind: str, name: str) -> None:
    (folder(state, kind, name) / "record.json").unlink(missing_ok=True)


def records(state: Path) -> list[Record]:
    """All records; one that cannot be read is told of by its file's name in `details`."""
    found = []
    for file in sorted(state.glob("*/record.json")):
        try:
            found.append(Record(**json.loads(file.read_text())))
        except (ValueError, TypeError):
            kind, _, name = file.parent.name.partition("-")
            found.append(Record(kind, name, 0, 0.0, details={"unreadable": str(file)}))
    return found
