"""The command `mesh-e2e audit`: reads a cluster, runs the checks and prints the findings."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from harness.audit.catalogue import run_audit_checks
from harness.audit.finding import SEVERITIES, Finding
from harness.audit.output import FORMATS, Audit, changes
from harness.audit.rbac import cluster_role
from harness.audit.read import read_state
from harness.clients.http import fetch
from harness.errors import BadInput
from harness.kube import ApiUnavailable, Kube
from harness.kube.read_only_client import ReadOnlyClient
from harness.objects.unstructured import Json
from harness.port_forward import port_forward
from harness.settings import Settings
from harness.tools import select_programs
from harness.wait import pause


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--kubeconfig", type=Path, help="the file (default: KUBECONFIG_FILE, then ~/.kube/config)")
    parser.add_argument("--context", default="", help="the context's exact name (default: CONTEXT); never assumed")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text")
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high", help="exit code 1 from this severity on")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="accepted findings: what --format json printed")
    parser.add_argument("--logs", action="store_true", help="read one log of each ztunnel and Envoy pod as well")
    parser.add_argument("--config", action="store_true", help="compare with the active configuration of each Envoy pod")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="audit again and again: what is new or gone")
    parser.add_argument(
        "--rbac", action="store_true", help="print the least ClusterRole (with --logs, --config: for these too)"
    )


def cluster_of(asked: argparse.Namespace, chosen: Settings) -> tuple[Path, str]:
    """The kubeconfig file and the context that were asked for.

    Raises:
        BadInput: no context, or no such file.
    """
    context = asked.context or chosen.context
    file = asked.kubeconfig or chosen.kubeconfig or Path.home() / ".kube" / "config"
    if not context:
        raise BadInput(
            "the cluster is selected by the exact name of its context",
            remedy="--context NAME (`kubectl config get-contexts`); the current context is never used",
        )
    if not file.is_file():
        raise BadInput(f"kubeconfig {file} does not exist", remedy="--kubeconfig FILE")
    return file, context


def run(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    """What is printed, and the exit code.

    Raises:
        BadInput: no context, no such file, an unreadable baseline.
    """
    if asked.rbac:
        return cluster_role(logs=asked.logs, config=asked.config).rstrip(), 0
    audit = Auditor(asked, chosen).audit()
    failed = any(SEVERITIES.index(one.severity) >= SEVERITIES.index(asked.fail_on) for one in audit.findings)
    return FORMATS[asked.format](audit), int(failed)


def watch(asked: argparse.Namespace, chosen: Settings, say: Callable[[str], None]) -> NoReturn:
    """Audits again and again, asked.watch seconds after each: the whole first, then what is new and what is gone. Ends
    by Ctrl-C.

    Raises:
        BadInput: as `run`; or a format that is one document.
    """
    if asked.format != "text":
        raise BadInput(f"--watch never ends, and {asked.format} is a single document", remedy="leave --format out")
    auditor = Auditor(asked, chosen)
    last = auditor.audit()
    say(FORMATS["text"](last))
    while True:
        pause(asked.watch, why="audit --watch")
        try:
            now = auditor.audit()
        except ApiUnavailable as error:
            say(f"{_clock()} not audited: {error.args[0]}")
            continue
        for line in changes(last, now):
            say(f"{_clock()} {line}")
        last = now


class Auditor:
    """Audits one cluster, as often as asked. Raises BadInput when made: no context, no such file, a baseline that is
    none."""

    def __init__(self, asked: argparse.Namespace, chosen: Settings) -> None:
        self._accepted = _baseline(asked.baseline) if asked.baseline else {}
        self._file, self._context = cluster_of(asked, chosen)
        self._logs, self._dump = asked.logs, self._dumped if asked.config else None
        self._chosen = chosen
        self._kubectl = select_programs.choose_program("kubectl", chosen).path if asked.config else None

    def audit(self) -> Audit:
        """One audit.

        Raises:
            ApiUnavailable: the API server does not answer.
            BadInput: nothing could be read.
        """
        began = time.monotonic()
        reader = ReadOnlyClient(Kube(self._file, self._context))
        state = read_state(reader, logs=self._logs, dump=self._dump)
        findings, not_judged = run_audit_checks(state)
        seen = {one.fingerprint for one in findings}
        return Audit(
            self._context,
            tuple(one for one in findings if one.fingerprint not in self._accepted),
            tuple(not_judged),
            tuple(one for one in findings if one.fingerprint in self._accepted),
            tuple(name for fingerprint, name in self._accepted.items() if fingerprint not in seen),
            {kind: len(those) for kind, those in state.objects.items()},
            reader.calls,
            time.monotonic() - began,
        )

    def _dumped(self, namespace: str, pod: str) -> Json:
        """The active configuration of an Envoy, by a port-forward to its admin port."""
        to = (self._file, self._context, namespace, f"pod/{pod}", 19000)
        with port_forward(*to, kubectl=str(self._kubectl)) as url:
            found: Json = json.loads(fetch(f"{url}/config_dump"))
        return found


def _clock() -> str:
    return f"{datetime.now():%H:%M:%S}"


def _baseline(file: Path) -> dict[str, str]:
    """Accepted findings by fingerprint: the findings, and those accepted before, of a JSON report."""
    try:
        baseline = json.loads(file.read_text())
        those = [*baseline["findings"], *baseline.get("accepted", [])]
        found = [Finding(one["id"], one["severity"], tuple(one["objects"]), one["sentence"]) for one in those]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"baseline {file}: {error if isinstance(error, OSError) else 'it is not a report of --format json'}",
            remedy="mesh-e2e audit --format json > FILE writes one",
        ) from None
    return {one.fingerprint: f"{one.id}: {', '.join(one.objects)}" for one in found}
