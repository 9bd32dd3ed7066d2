"""`mesh-e2e audit`: reads, judges, prints. Exit code 1 from the chosen severity on."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from harness.audit.catalogue import judge
from harness.audit.finding import SEVERITIES, Finding
from harness.audit.output import FORMATS, Audit
from harness.audit.rbac import cluster_role
from harness.audit.read import read
from harness.errors import BadInput
from harness.kube import Kube
from harness.kube.paged import PagedReader
from harness.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--kubeconfig", type=Path, help="the file (default: KUBECONFIG_FILE, then ~/.kube/config)")
    parser.add_argument("--context", default="", help="the context's exact name (default: CONTEXT); never assumed")
    parser.add_argument("--format", choices=sorted(FORMATS), default="text")
    parser.add_argument("--fail-on", choices=SEVERITIES, default="high", help="exit code 1 from this severity on")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="accepted findings: what --format json printed")
    parser.add_argument("--logs", action="store_true", help="read one log of each ztunnel and Envoy pod as well")
    parser.add_argument("--rbac", action="store_true", help="print the least ClusterRole (with --logs also pods/log)")


def run(asked: argparse.Namespace, chosen: Settings) -> tuple[str, int]:
    """What is printed, and the exit code.

    Raises:
        BadInput: no context, no such file, an unreadable baseline.
    """
    if asked.rbac:
        return cluster_role(logs=asked.logs).rstrip(), 0
    accepted = _baseline(asked.baseline) if asked.baseline else {}
    context = asked.context or chosen.context
    file = asked.kubeconfig or chosen.kubeconfig or Path.home() / ".kube" / "config"
    if not context:
        raise BadInput(
            "the cluster is chosen by its context's exact name",
            remedy="--context NAME (`kubectl config get-contexts`); the current context is never assumed",
        )
    if not file.is_file():
        raise BadInput(f"kubeconfig {file} is not there", remedy="--kubeconfig FILE")
    began = time.monotonic()
    reader = PagedReader(Kube(file, context))
    state = read(reader, logs=asked.logs)
    findings, not_judged = judge(state)
    seen = {one.fingerprint for one in findings}
    audit = Audit(
        context,
        tuple(one for one in findings if one.fingerprint not in accepted),
        tuple(not_judged),
        tuple(one for one in findings if one.fingerprint in accepted),
        tuple(name for fingerprint, name in accepted.items() if fingerprint not in seen),
        {kind: len(those) for kind, those in state.objects.items()},
        reader.calls,
        time.monotonic() - began,
    )
    failed = any(SEVERITIES.index(one.severity) >= SEVERITIES.index(asked.fail_on) for one in audit.findings)
    return FORMATS[asked.format](audit), int(failed)


def _baseline(file: Path) -> dict[str, str]:
    """Accepted findings by fingerprint: the findings, and those accepted before, of a JSON report."""
    try:
        told = json.loads(file.read_text())
        those = [*told["findings"], *told.get("accepted", [])]
        found = [Finding(one["id"], one["severity"], tuple(one["objects"]), one["sentence"]) for one in those]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"baseline {file}: {error if isinstance(error, OSError) else 'it is no report of --format json'}",
            remedy="mesh-e2e audit --format json > FILE writes one",
        ) from None
    return {one.fingerprint: f"{one.id}: {', '.join(one.objects)}" for one in found}
