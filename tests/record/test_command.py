"""`mesh-e2e record`: a running cluster, or one clear error; a run that did not hold records nothing."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pytest

from harness import cluster_records
from harness.errors import BadInput, SetupFailed
from harness.recordings import record_command
from harness.settings import Settings


def asked(into: Path, *tests: str) -> argparse.Namespace:
    return argparse.Namespace(tests=list(tests), into=into, run=None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cluster": "emulated"}, "an emulated cluster writes what was recorded"),
        ({"cluster": "kind"}, "kind cluster mesh-e2e does not run"),
        ({"cluster": "existing"}, "CLUSTER=existing needs a context"),
    ],
)
def test_without_a_cluster_there_is_one_clear_error(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    """Before anything is run or written."""
    with pytest.raises(BadInput, match=words) as error:
        record_command.run(asked(tmp_path / "into"), Settings(state=tmp_path, **settings))  # type: ignore[arg-type]  # checked by pydantic

    assert error.value.remedy
    assert not (tmp_path / "into").exists()


RECORDS = """
import os, pathlib
folder = pathlib.Path(os.environ["E2E_RECORD"]) / "istio-1.29-eg-1.7"
folder.mkdir(parents=True)
(folder / "provenance.yaml").write_text("versions: {}")
print("kept:", os.environ["E2E_KEEP"])
"""


@pytest.mark.parametrize(
    ("does", "refused"),
    [(RECORDS, ""), ("print('1 failed'); raise SystemExit(1)", "did not hold, exit 1"), ("", "wrote no recording")],
)
def test_the_suites_are_run_on_it_and_have_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, refused: str
) -> None:
    """The output's last lines say why not."""
    cluster_records.write_record(tmp_path, cluster_records.Record("kind", "mesh-e2e", 1, time.time()))
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\n{does}")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    chosen, into = Settings(state=tmp_path), tmp_path / "into"

    if refused:
        with pytest.raises(SetupFailed, match=refused) as error:
            record_command.run(asked(into, "suites/ingress"), chosen)
        assert ("1 failed" in str(error.value)) == ("1 failed" in does)
    else:
        assert "istio-1.29-eg-1.7/provenance.yaml (" in record_command.run(asked(into, "suites/ingress"), chosen)
