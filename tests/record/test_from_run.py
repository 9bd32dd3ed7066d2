"""A recording made of a run's folder: what the cluster answered then, with the run's own provenance."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
import yaml

from harness.errors import BadInput
from harness.recordings.from_run import record_run
from tests.recordings import HERE, text

ZTUNNEL = next(row for row in text("logs/ztunnel.log").split("\n") if "\taccess\t" in row)
STORED = HERE / "runs" / "kind-rate-limit"


def test_stored_run_of_a_real_cluster_becomes_a_recording(tmp_path: Path) -> None:
    """Its access lines, ztunnel lines, statuses and counters; images without the private registry of the run."""
    run = tmp_path / "run"
    (run / "setup").mkdir(parents=True)
    shutil.copy(STORED / "results.json", run)
    (run / "setup" / "images.txt").write_text("registry.example/istio/pilot:1.29.1-distroless  sha256:1\n")
    with gzip.open(STORED / "records.jsonl.gz", "rt") as file:
        head, *calls = map(json.loads, file)
    head["settings"]["registry"] = "registry.example"  # the stored run used none, and its tests read no ztunnel
    log = {"in": "a test", "call": "log", "key": "1", "asked": "istio-system zt-1 istio-proxy", "gave": ZTUNNEL}
    (run / "records.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in (head, *calls, log)))

    folder = record_run(run, tmp_path)

    document = yaml.safe_load((folder / "provenance.yaml").read_text())
    results = json.loads((run / "results.json").read_text())
    assert document["cluster"] == "kind"
    assert document["recorded"] == results["started"][:10]
    assert document["versions"].items() >= results["versions"].items()
    assert document["images"] == {"istio/pilot:1.29.1-distroless": "sha256:1"}
    assert {json.loads(line)["response_code"] for line in (folder / "access.jsonl").read_text().splitlines()} >= {
        200,
        429,
    }
    assert "BackendTrafficPolicy" in (folder / "statuses.yaml").read_text()
    assert "ratelimit_service_rate_limit_over_limit" in (folder / "limiter-metrics.prom").read_text()


@pytest.mark.parametrize("of", ["nothing", "emulated"])
def test_what_is_no_run_on_a_real_cluster_is_refused(tmp_path: Path, of: str) -> None:
    run = HERE / "runs" / "emulated-rate-limit" if of == "emulated" else tmp_path / "nothing"

    with pytest.raises(BadInput, match="emulated cluster" if of == "emulated" else "has no results.json"):
        record_run(run, tmp_path / "into")

    assert not (tmp_path / "into").exists()
