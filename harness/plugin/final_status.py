"""The exit status of a run after quarantine and `--enforce`, and digests of its test files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.outcome import Outcome
from harness.plugin.run import Run


def final_status(run: Run, status: int) -> int:
    """The status that the run ends with: 0 where only tests in quarantine spoke against it, 1 where claims were skipped
    and `--enforce` wants all judged. The reason is in the run's notes or its `why`."""
    verdicts = run.book.results
    excused, lines = run.quarantine.excuses(verdicts, datetime.now(UTC).date())
    for text in lines:
        run.evidence.note(text)
    if status == pytest.ExitCode.TESTS_FAILED and excused and lines:
        status = pytest.ExitCode.OK
    skipped = sum(verdict.outcome == Outcome.SKIPPED for verdict in verdicts)
    if status == pytest.ExitCode.OK and skipped and run.settings.enforce:
        run.why = run.why or f"ENFORCE=1: {skipped} claims were skipped, not judged"
        status = pytest.ExitCode.TESTS_FAILED
    return int(status)


def digests(files: Iterable[Path], root: Path) -> dict[str, str]:
    """A digest of each test file with its manifest, by the file's path below the root folder."""
    found = {}
    for file in sorted(files):
        digest = hashlib.sha256(file.read_bytes() if file.is_file() else b"")
        manifest = root / "manifests" / file.parent.name / f"{file.stem.removeprefix('test_')}.yaml"
        if manifest.is_file():
            digest.update(manifest.read_bytes())
        found[file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)] = digest.hexdigest()[:16]
    return found
