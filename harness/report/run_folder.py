"""The folder a run leaves: runs/<UTC time>-<cluster kind>-<set>/, with `latest` beside it pointing to the newest.

junit.xml  allure-results/  results.json  summary.txt  conformance.yaml (when asked)
setup/                      what belongs to no test: the stages' times, what the session's setup saw
artifacts/<area>/<test>/    failure.txt, witnesses.txt, attachments, and diagnostics/ of a failure
artifacts/interrupted/      diagnostics gathered on Ctrl-C or SIGTERM
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from harness.errors import BadInput
from harness.report.redact import redacted

REMEDY = "free some space there, or choose another folder with --runs (E2E_RUNS)"


class RunFolder:
    """Paths inside one run's folder, and the writing of its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.junit = path / "junit.xml"
        self.allure = path / "allure-results"
        self.results = path / "results.json"
        self.summary = path / "summary.txt"
        self.conformance = path / "conformance.yaml"
        self.setup = path / "setup"
        self.artifacts = path / "artifacts"
        self._taken: dict[str, str] = {}

    @classmethod
    def create(cls, runs: Path, *, cluster: str, set_name: str, now: datetime) -> RunFolder:
        """Makes the folder below `runs` and points `latest` to it; `now` is in UTC.

        Raises:
            BadInput: `runs` cannot be written; the message names the path.
        """
        name = plain_name(f"{now:%Y%m%dT%H%M%SZ}-{cluster}-{set_name}")
        with _writing(runs):
            runs.mkdir(parents=True, exist_ok=True)
        tries = (name, *(f"{name}-{n}" for n in range(2, 100)))
        for path in (runs / one for one in tries):
            with _writing(path):
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                folder = cls(path)
                folder.setup.mkdir()
                folder.summary.write_text("the run has not ended\n")  # a full disk is better known now than at the end
                _point(runs / "latest", path.name)
                return folder
        raise BadInput(f"{runs}/{name} and 98 more of that name exist", remedy=REMEDY)

    def test(self, area: str, test: str, *, id: str) -> Path:
        """artifacts/<area>/<test>/ of the test with this id; not made yet. No two ids share a folder."""
        key = f"{plain_name(area)}/{plain_name(test)}"
        if self._taken.setdefault(key, id) != id:
            key = f"{key}-{sha256(id.encode()).hexdigest()[:8]}"
        return self.artifacts / key

    def within(self, path: Path) -> str:
        """The path as it is named in reports: relative to the run folder."""
        return path.relative_to(self.path).as_posix()

    def write(self, path: Path, text: str, *, secret_free: bool = True) -> Path:
        """Writes a file, with its folders; secrets are taken out unless told that there are none to take.

        Raises:
            BadInput: it cannot be written; the message names the path.
        """
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(redacted(text) if secret_free else text)
        return path

    def add(self, folder: Path, name: str, text: str) -> Path:
        """Writes an attachment below `folder`; a name that is taken gets a number.

        Raises:
            BadInput: it cannot be written.
        """
        first = folder / plain_name(name)
        path, n = first, 2
        while path.exists():
            path, n = first.with_name(f"{first.stem}-{n}{first.suffix}"), n + 1
        return self.write(path, text)


def plain_name(text: str, limit: int = 100) -> str:
    """The text as one file name: letters, digits, dot, dash, underscore. Shortened or changed ones stay distinct."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "unnamed"
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}-{sha256(text.encode()).hexdigest()[:8]}"


def _point(link: Path, target: str) -> None:
    """Makes `link` a symlink to `target`; whoever reads it meanwhile sees the old or the new one."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise BadInput(f"cannot write {where}: {error.strerror or error}", remedy=REMEDY) from error
