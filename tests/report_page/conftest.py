"""Run folders for the report page's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Written = Callable[..., Path]
Verdict = Callable[..., dict[str, Any]]


def _verdict(id: str, outcome: str = "held", **more: Any) -> dict[str, Any]:
    return {
        "id": f"suites/limits/test_a.py::{id}",
        "area": "limits",
        "claim": f"The limit of {id} is <b>kept</b>.</script>",
        "outcome": outcome,
        "seconds": 1.5,
        "witnesses": ["client", "waypoint access log"],
        "figures": [{"name": "applied to enforced", "seconds": 0.4, "of": "waypoint"}],
        "reason": "assert 200 == 429" if outcome == "broken" else "",
        "evidence": "",
        "feature": "Local limit",
        "kind": "traffic",
        "place": "waypoint",
        "means": "held",
        **more,
    }


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a run folder: its verdicts, the versions of Istio and Envoy Gateway, and other keys of results.json."""

    def write(hour: int, *tests: dict[str, Any], istio: str = "1.29.1", eg: str = "1.9.0", **more: Any) -> Path:
        folder = tmp_path / f"20261127T{hour:02}0000Z-kind-set-a"
        folder.mkdir()
        results = {
            "schema": "mesh-e2e/results/v1",
            "cluster": {"kind": "kind", "name": "one", "conformance": True},
            "set": "set-a",
            "versions": {"kubernetes": "1.34.3", "istio": istio, "envoy-gateway": eg},
            "facts": {},
            "started": f"2026-11-27T{hour:02}:00:00+00:00",
            "tests": list(tests),
            "counts": {},
            "times": [{"name": "applied to enforced", "n": 2, "min": 0.1, "median": 0.4, "max": 0.9, "of": "waypoint"}],
            "tables": {"outages": [{"event": "waypoint deleted", "lost of sent": "3 of 80"}]},
            "stages": [{"name": "cluster", "seconds": 30.0, "failed": ""}],
            "exit": 0,
            "why": "",
            "notes": [],
        }
        (folder / "results.json").write_text(json.dumps(results | more))
        (folder / "verdicts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in tests))
        return folder

    return write


@pytest.fixture(scope="session")
def verdict() -> Verdict:
    """Makes a verdict as in results.json."""
    return _verdict
