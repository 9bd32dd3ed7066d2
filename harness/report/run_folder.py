"""The folder of a run: runs/<UTC time>-<cluster kind>-<set>/, and the link `latest`.

junit.xml  allure-results/  results.json  summary.txt  conformance.yaml (when asked)
verdicts.jsonl              a line for each verdict, written as it is reached: what a killed run leaves
setup/                      what belongs to no test: the stages' times, what the session's setup saw
artifacts/<area>/<test>/    failure.txt, witnesses.txt, attachments, and diagnostics/ of a failure
artifacts/interrupted/      diagnostics gathered on Ctrl-C or SIGTERM
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from harness.atomic_append import append_line
from harness.errors import BadInput
from harness.report.redact import redact

RESERVE, RESERVED = ".reserve", 256 << 10  # bytes: verdicts, results and summary of some hundred claims
_RUN = re.compile(r"\d{8}T\d{6}Z-")
REMEDY = "free some space there, or choose another folder: RUNS= (--runs)"


class RunFolder:
    """Paths inside one run's folder, and the writing of its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.junit = path / "junit.xml"
        self.allure = path / "allure-results"
        self.results = path / "results.json"
        self.summary = path / "summary.txt"
        self.verdicts = path / "verdicts.jsonl"
        self.conformance = path / "conformance.yaml"
        self.setup = path / "setup"
        self.artifacts = path / "artifacts"
        self._reserve = path / RESERVE
        self._taken: dict[str, str] = {}

    @classmethod
    def create(
        cls, runs: Path, *, cluster: str, set_name: str, now: datetime, keep: int = 0, days: int = 0
    ) -> RunFolder:
        """Makes the folder below `runs` and points `latest` to it; `now` is UTC. Older ones are pruned, see `prune`.

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
                folder.summary.write_text("the run has not ended; verdicts so far: verdicts.jsonl\n")
                folder._reserve.write_bytes(bytes(RESERVED))  # a full disk is better known now than at the end
                _point(runs / "latest", path.name)
                prune(runs, keep, days, now)
                return folder
        raise BadInput(f"{runs}/{name} and 98 more of the same name exist", remedy=REMEDY)

    def test(self, area: str, test: str, *, id: str) -> Path:
        """artifacts/<area>/<test>/ of the test with this id; not made yet. No two ids share a folder."""
        key = f"{plain_name(area)}/{plain_name(test)}"
        if self._taken.setdefault(key, id) != id:
            key = f"{key}-{sha256(id.encode()).hexdigest()[:8]}"
        return self.artifacts / key

    def previous(self) -> RunFolder | None:
        """The newest earlier run beside it, of the same kind of cluster and set, that left results for Allure."""
        like = _like(self.path)
        before = (RunFolder(path) for path in self.path.parent.iterdir() if path < self.path and _like(path) == like)
        return max(
            (run for run in before if any(run.allure.glob("*-result.json"))), key=lambda run: run.path, default=None
        )

    def relative_path(self, path: Path) -> str:
        """The path as it is named in reports: relative to the run folder."""
        return path.relative_to(self.path).as_posix()

    def write(self, path: Path, text: str, *, secret_free: bool = True) -> Path:
        """Writes a file, with its folders; secrets are removed unless `secret_free` is false.

        Raises:
            BadInput: it cannot be written; the message names the path.
        """
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.write_text(redact(text) if secret_free else text)
            except OSError:
                with suppress(OSError):
                    path.unlink(missing_ok=True)  # half of a file is worse than none
                raise
        return path

    def append_verdict(self, text: str) -> None:
        """Adds a line to verdicts.jsonl, on the disk when this returns; a full disk has room left for it.

        Raises:
            BadInput: it cannot be written.
        """
        with _writing(self.verdicts):
            try:
                self._append(text)
            except OSError:
                self.free_reserve()
                self._append(text)

    def _append(self, text: str) -> None:
        with self.verdicts.open("ab", buffering=0) as file:
            append_line(file, redact(text).encode())

    def free_reserve(self) -> None:
        """Frees what was kept back on the disk, for what must be written at the end."""
        with suppress(OSError):
            self._reserve.unlink(missing_ok=True)

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


def prune(runs: Path, keep: int, days: int, now: datetime) -> None:
    """Deletes folders of runs that ended: all but the newest `keep` (0: any number stays), and those older than so many
    days (0: any age), but never the newest. Only names that `create` gives are looked at; one that cannot be deleted
    stays."""
    ours = sorted((path for path in runs.iterdir() if _RUN.match(path.name) and path.is_dir()), reverse=True)
    for number, path in enumerate(ours[1:], start=1):
        age = now - datetime.strptime(path.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        surplus = 0 < keep <= number or 0 < days < age / timedelta(days=1)
        goes_on = (path / RESERVE).exists() and age < timedelta(days=1)  # or was killed: a day later it goes
        if surplus and not path.is_symlink() and not goes_on:
            shutil.rmtree(path, ignore_errors=True)


def plain_name(text: str, limit: int = 100) -> str:
    """The text as one file name: letters, digits, dot, dash, underscore. Shortened or changed ones stay distinct."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "unnamed"
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9]}-{sha256(text.encode()).hexdigest()[:8]}"


def _like(run: Path) -> str:
    """What the names of runs of one kind of cluster and set have in common."""
    return re.sub(r"-\d{1,2}$", "", _RUN.sub("", run.name, count=1)) if _RUN.match(run.name) else run.name


def _point(link: Path, target: str) -> None:
    """Makes `link` a symlink to `target`; whoever reads it meanwhile sees the old or the new one."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    try:
        fresh.replace(link)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise OSError(error.errno, f"{error.strerror}, where a link to the newest run should be", str(link)) from None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise BadInput(f"cannot write {where}: {error.strerror or error}", remedy=REMEDY) from error
