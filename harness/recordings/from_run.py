"""Makes a recording from a run's folder (records.jsonl)."""

from __future__ import annotations

from pathlib import Path

from harness.cluster_call_records import read_calls, read_settings
from harness.errors import BadInput
from harness.objects.unstructured import Json, text
from harness.objects.workloads import OWNING_GATEWAY
from harness.recordings.recording import Recording
from harness.report.results_file import read_results


def record_run(run: Path, into: Path) -> Path:
    """Writes the recording of the cluster that a run was on; returns its folder.

    Raises:
        BadInput: the folder holds no run, or one on an emulated cluster.
        SetupFailed: the run recorded no line of a log.
    """
    results = read_results(run)
    kind, versions, started = results["cluster"]["kind"], results["versions"], results["started"]
    if kind == "emulated":
        raise BadInput(f"{run} is of an emulated cluster, which writes what was recorded", remedy="RUN= one on kind")
    recording, gateways = Recording(), dict[str, str]()
    for name, asked, answer in read_calls(run):
        parts = asked.split()
        if name == "log" and isinstance(answer, str):
            (recording.add_ztunnel_log if parts[2] == "istio-proxy" else recording.add_access_log)(answer)
        elif name == "admin" and isinstance(answer, str):
            _add_page(recording, gateways, parts, answer)
        elif name in ("list", "get"):
            for obj in answer if isinstance(answer, list) else [answer]:
                _add_object(recording, gateways, obj)
    registry = _registry(run)
    images = {name.removeprefix(registry): digest for name, digest in _images(run).items()}
    return recording.write(into, day=str(started)[:10], cluster=kind, versions=versions, images=images)


def _add_page(recording: Recording, gateways: dict[str, str], asked: list[str], page: str) -> None:
    _, pod, port, path = asked
    if path == "/stats" and pod in gateways:
        recording.add_stats(gateways[pod], page)
    elif path == "/server_info":
        recording.add_server_info(page)
    elif path == "/metrics" and port == "19001":
        recording.add_metrics("limiter", page)


def _add_object(recording: Recording, gateways: dict[str, str], obj: Json) -> None:
    gateway = text(obj, "metadata", "labels", OWNING_GATEWAY)
    if text(obj, "kind") == "Pod" and gateway:
        gateways[text(obj, "metadata", "name")] = gateway
    elif text(obj, "kind") not in ("Pod", "Node", "Deployment", "DaemonSet", "Namespace"):
        recording.add_object(obj)


def _images(run: Path) -> dict[str, str]:
    file = run / "setup" / "images.txt"
    lines = file.read_text().splitlines() if file.is_file() else []
    return {name: digest.strip() for name, _, digest in (line.partition("  ") for line in lines)}


def _registry(run: Path) -> str:
    """What the run's private registry put before the names of images: it says nothing about the versions."""
    host = read_settings(run).get("registry")
    return f"{host}/" if host else ""
