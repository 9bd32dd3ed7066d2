"""The files of a conformance run: its own reports, backend logs, ztunnel lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness import progress
from harness.command import run
from harness.conformance.suite_verdicts import NAMESPACES
from harness.errors import BadInput, HarnessError
from harness.kube import Kube
from harness.logs import ztunnel
from harness.objects.manifests import Document
from harness.objects.stack_places import namespace_in
from harness.objects.workloads import OWNING_GATEWAY


@dataclass(frozen=True, slots=True)
class Recording:
    """What a run of the suite left. `backends`: lines of their logs, each behind its pod and time; `ztunnel`: the lines
    about the suite's namespaces."""

    log: str
    report: str
    backends: str
    ztunnel: str
    pods: int
    enrolled: int

    def write(self, folder: Path) -> None:
        """Writes it below `folder`, the suite's own files as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (
            ("suite.log", self.log),
            ("report.yaml", self.report),
            ("backends.log", self.backends),
            ("ztunnel.log", self.ztunnel),
            ("pods.json", json.dumps({"pods": self.pods, "enrolled": self.enrolled})),
        ):
            (folder / name).write_text(content)

    @classmethod
    def read(cls, folder: Path) -> Recording:
        """
        Raises:
            BadInput: the folder has no such recording.
        """
        try:
            names = ("suite.log", "report.yaml", "backends.log", "ztunnel.log")
            log, report, backends, lines = ((folder / name).read_text() for name in names)
            pods = json.loads((folder / "pods.json").read_text())
            return cls(log, report, backends, lines, int(pods["pods"]), int(pods["enrolled"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{folder} has no recording of the conformance suite: {error}") from None


def read_backend_logs(kube: Kube, kubectl: str, pods: Sequence[Document]) -> str:
    """The lines of the suite's backends; proxies are none."""
    found = []
    for pod in pods:
        metadata: Mapping[str, str] = pod["metadata"]
        if OWNING_GATEWAY in pod["metadata"].get("labels", {}):
            continue
        argv = [
            *kubectl_of(kube, kubectl),
            "logs",
            "--timestamps",
            "--namespace",
            metadata["namespace"],
            metadata["name"],
        ]
        written = run(argv, check=False).stdout
        found += [f"{metadata['namespace']}/{metadata['name']} {line}" for line in written.splitlines()]
    return "".join(f"{line}\n" for line in found)


def read_ztunnel_lines(kube: Kube, since: datetime) -> str:
    """The lines of all nodes' ztunnel about the suite's namespaces."""
    found = []
    home = namespace_in(kube.places.ztunnel)
    for pod in kube.list_pods(home, "app=ztunnel"):
        try:
            written = kube.read_log(home, pod["metadata"]["name"], "istio-proxy", since=since)
        except HarnessError as error:
            progress.note(f"ztunnel's log cannot be read: {error}")
            continue
        ends = (
            (line, (line.src.namespace or "", line.dst.namespace or ""))
            for line in ztunnel.parse_ztunnel_log(written).lines
        )
        found += [line.raw for line, names in ends if any(name.startswith(NAMESPACES) for name in names)]
    return "".join(f"{line}\n" for line in found)


def kubectl_of(kube: Kube, kubectl: str) -> list[str]:
    """The words before a kubectl command for this cluster."""
    return [kubectl, "--kubeconfig", str(kube.kubeconfig), *(["--context", kube.context] if kube.context else [])]
