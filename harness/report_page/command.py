"""The command `mesh-e2e report`: writes the report page from folders of runs and matrices."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from harness.errors import BadInput
from harness.report_page import model, run_folders
from harness.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `mesh-e2e report` takes."""
    parser.add_argument("runs", nargs="*", metavar="FOLDER", help="folders of runs or matrices; all runs by default")
    parser.add_argument(
        "--out", default="", metavar="FILE", help="the page; report.html in the folder of runs by default"
    )


def run(asked: argparse.Namespace, chosen: Settings) -> str:
    """Writes the page, and returns what is in it and where it is.

    Raises:
        BadInput: a folder holds no run or cannot be read, or the page cannot be written.
    """
    folders = [Path(folder) for folder in asked.runs] or _all(chosen.runs)
    runs, failed = run_folders.read_runs(folders)
    data = model.page(runs, failed, datetime.now(UTC).isoformat(timespec="seconds"))
    out = Path(asked.out) if asked.out else chosen.runs / "report.html"
    text = render_page(data)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror or error}", remedy="--out another file") from error
    shown = ", ".join(counted(len(data[name]), name) for name in ("runs", "cells", "claims"))
    left_out = f"; {counted(data['planted'], 'runs')} under a planted fault left out" if data["planted"] else ""
    return f"{shown}{left_out}\n{out} ({len(text.encode()) / 1e6:.1f} MB)"


def counted(count: int, plural: str) -> str:
    """A number with its noun."""
    return f"{count} {plural.removesuffix('s') if count == 1 else plural}"


def render_page(data: dict[str, object]) -> str:
    """The page with its style, script and data in it."""
    parts = {
        name: resources.files("harness.report_page").joinpath(name).read_text() for name in ("page.css", "page.js")
    }
    # "</script>" in a text would end the element: JSON may write "<" as an escape.
    parts["data"] = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = resources.files("harness.report_page").joinpath("page.html").read_text()
    for name, text in parts.items():
        page = page.replace(f"/*{name}*/", text, 1)
    return page


def _all(runs: Path) -> list[Path]:
    found = sorted(
        folder
        for folder in runs.glob("*")
        if any((folder / name).is_file() for name in ("results.json", "verdicts.jsonl")) and not folder.is_symlink()
    )
    if not found:
        raise BadInput(f"{runs} has no run", remedy="make e2e first, or name the folders of runs")
    return found
