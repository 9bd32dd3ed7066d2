"""Reads results.json of run folders, strictly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.report.results import SCHEMA


def read_results(run: Path) -> dict[str, Any]:
    """results.json of a run folder.

    Raises:
        BadInput: the run has not ended (a half-written folder), it cannot be read, or its format is a newer one.
    """
    verdicts = run / "verdicts.jsonl"
    kept = f"; {sum(1 for _ in verdicts.open('rb'))} verdicts are in {verdicts}" if verdicts.is_file() else ""
    raw = read_json(run / "results.json", f"{run} has no results.json: the run has not ended{kept}", SCHEMA, "schema")
    if not isinstance(raw.get("tests"), list):
        raise BadInput(f"{run / 'results.json'} has no tests", remedy="was the run cut short? Run it again")
    return {"counts": Counter(test["outcome"] for test in raw["tests"])} | raw


def run_folders(place: Path) -> list[Path]:
    """The folders in a folder of runs, in the order of their names; `latest`, a link, is left out."""
    return sorted(one for one in place.iterdir() if one.is_dir() and not one.is_symlink())


def finished_runs(place: Path) -> list[Path]:
    """Those of them whose run has ended; none if there is no such folder."""
    found = run_folders(place) if place.is_dir() else []
    return [one for one in found if (one / "results.json").is_file()]


def read_json(file: Path, missing: str, schema: str, key: str) -> dict[str, Any]:
    """A JSON object of ours whose `key` names its schema ("mesh-e2e/results/v1"); `missing` is the message where the
    file does not exist.

    Raises:
        BadInput: it is missing, half written, of something else or of a newer format.
    """
    try:
        raw = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(missing or f"{file} is missing", remedy="name the folder of a matrix or of a run") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror or error}", remedy=f"ls -l {file}") from None
    except ValueError:
        raise BadInput(f"{file} is not JSON: it was half written", remedy="run it again") from None
    found = raw.get(key) if isinstance(raw, dict) else None
    if found != schema:
        kind, _, version = schema.rpartition("/")
        if isinstance(found, str) and found.startswith(f"{kind}/"):
            raise BadInput(
                f"{file} is of format {found.rpartition('/')[2]}, this mesh-e2e reads {version}",
                remedy="update mesh-e2e, or read it with the one that wrote it",
            )
        raise BadInput(f"{file} is not of {kind}", remedy="name the folder of a matrix or of a run")
    return dict(raw)
