"""Preflight checks of istiod, ztunnel, Istio's CNI, and the trust domain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from harness.audit.read import REVISION
from harness.audit.state import labels_of, namespace_of, object_name
from harness.objects.stack_places import DEFAULT_PLACES
from harness.objects.unstructured import Json, name_of, objects, text
from harness.objects.workloads import pod_containers, rollout_progress
from harness.preflight.facts import Facts
from harness.preflight.row import Row, judged, not_judged, unknown

TRUST_DOMAIN = "cluster.local"  # Istio's default
RESTARTED_AT = {  # where disruptive tests restart each; other tools than Istio's own charts put them elsewhere
    "istiod": DEFAULT_PLACES.istiod,
    "ztunnel": DEFAULT_PLACES.ztunnel,
    "Istio CNI": DEFAULT_PLACES.cni,
}
TRUSTED = "CA_TRUSTED_NODE_ACCOUNTS"  # the ServiceAccounts to which istiod gives certificates for pods of their node
BY_INSTALL = "absent: INSTALL=1 installs it"
_LEVEL = re.compile(r"(?:^|,)(?:access=)(off|error|warn)(?:,|$)|^(off|error|warn)$")


def istiod(facts: Facts) -> Iterable[Row]:
    """istiod's namespace, revision and version. None is no mesh; several revisions are each listed."""
    found = facts.istiods
    if not found:
        yield _absent("istiod", facts, "no Deployment has pods with the label app=istiod")
    for one in found:
        revision = text(labels_of(one), REVISION) or "default"
        yield _workload("istiod", one, f"revision {revision}, {_image(one)}", facts)


def ztunnel(facts: Facts) -> Iterable[Row]:
    """ztunnel's DaemonSet by label: distributions put it into kube-system, or a namespace of its own."""
    found = facts.ztunnels
    if not found:
        yield _absent(
            "ztunnel", facts, "no DaemonSet has pods with the label app=ztunnel: Istio is not in ambient mode"
        )
    for one in found:
        yield _workload("ztunnel", one, _image(one), facts)
        trusted = [accounts for istiod in facts.istiods if (accounts := _env(istiod, TRUSTED))]
        if trusted and not any(namespace_of(one) in _namespaces(accounts) for accounts in trusted):
            yield not_judged(
                "ztunnel's certificates",
                f"istiod has {TRUSTED}={trusted[0]}",
                "stack",
                reason=f"istiod gives no certificate to {name_of(one)}, so no enrolled pod is served",
                remedy=f"set trustedZtunnelNamespace={namespace_of(one)} in istiod's chart",
            )


def _namespaces(accounts: str) -> set[str]:
    """Those of "istio-system/ztunnel,kube-system/ztunnel"."""
    return {one.strip().partition("/")[0] for one in accounts.split(",")}


def ztunnel_log(facts: Facts) -> Iterable[Row]:
    """Whether ztunnel writes its access log at all; plain text and JSON are both read."""
    for one in facts.ztunnels:
        level = _env(one, "RUST_LOG")
        if (quiet := _LEVEL.search(level)) is not None:
            yield not_judged(
                "ztunnel's log",
                f"RUST_LOG={level}",
                "ztunnel log",
                reason=f"{name_of(one)} writes no line of a connection at level {quiet[1] or quiet[2]}",
                remedy="set RUST_LOG=info for ztunnel (Helm: logLevel)",
            )
        else:
            yield judged(
                "ztunnel's log", f"RUST_LOG={level or 'info'}, LOG_FORMAT={_env(one, 'LOG_FORMAT') or 'plain'}"
            )


def cni(facts: Facts) -> Iterable[Row]:
    """Istio's CNI node agent, which redirects the traffic of enrolled pods."""
    found = facts.cnis
    if not found:
        yield _absent("Istio CNI", facts, "no DaemonSet has pods with the label k8s-app=istio-cni-node")
    for one in found:
        yield _workload("Istio CNI", one, _image(one), facts)


def trust_domain(facts: Facts) -> Iterable[Row]:
    """The trust domain of each istiod's mesh configuration: identities begin with it."""
    for where, why in facts.mesh_unread.items():
        yield unknown("trust domain", f"ConfigMap {where}: {why}", "grant get of that ConfigMap")
    for where, config in facts.mesh.items():
        domain = text(config, "trustDomain") or TRUST_DOMAIN
        yield judged("trust domain", f"{domain} (ConfigMap {where})")


def _absent(subject: str, facts: Facts, why: str) -> Row:
    if facts.installs:
        return judged(subject, BY_INSTALL)
    return not_judged(subject, "absent", "stack", reason=why, remedy="INSTALL=1 installs it")


def _workload(subject: str, workload: Json, what: str, facts: Facts) -> Row:
    rollout, name = rollout_progress(workload), text(workload, "metadata", "name")
    where = f"{namespace_of(workload)}/{name}, {what}, {rollout.text}"
    those = {"istiod": facts.istiods, "ztunnel": facts.ztunnels, "Istio CNI": facts.cnis}[subject]
    if facts.disruptive and not any(
        f"{namespace_of(one)}/{object_name(one)}" == RESTARTED_AT[subject] for one in those
    ):
        return not_judged(
            subject,
            where,
            "disruptive",
            reason=f"disruptive tests restart {RESTARTED_AT[subject]} alone; all others judge it where it is",
            remedy="none: these tests need Istio's own names",
        )
    if rollout.done:
        return judged(subject, where)
    return Row(subject, where, "unknown", (), f"{name_of(workload)} is not ready", "wait until it is, or mend it")


def _image(workload: Json) -> str:
    image = next((text(one, "image") for one in pod_containers(workload)), "")
    return image.partition("@")[0].rpartition("/")[2] or "no image"


def _env(workload: Json, name: str) -> str:
    values: Iterator[str] = (
        text(one, "value")
        for container in pod_containers(workload)
        for one in objects(container, "env")
        if text(one, "name") == name
    )
    return next(values, "")
