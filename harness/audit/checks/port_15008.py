"""Audit check: waypoints whose Envoy may take port 15008 from ztunnel.

Port 15008 of a waypoint's pod belongs to ztunnel; a TCP listener on it makes Envoy want it as well
(docs/port-15008.md). Whoever binds it second fails, and no Kubernetes status says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState, labels_of
from harness.audit.waypoint_bindings import HBONE, listeners, port_of, proxy_pods, waypoints
from harness.logs.envoy_xds_rejects import parse_rejections
from harness.logs.ztunnel import parse_bind_failures
from harness.objects.unstructured import Json, name_of, text
from harness.objects.workloads import find_trouble, is_pod_ready, pod_name

RETRIES = timedelta(minutes=1)  # ztunnel tries every 5 s: a ready one that wrote none for that long has the port
EVER = datetime.min.replace(tzinfo=UTC)
NO_LOGS = "no log was read (ask for it with --logs)"


def listener_on_hbone_port(state: AuditState) -> Iterable[Result]:
    """Waypoints of Envoy Gateway with a TCP listener on 15008."""
    for gateway in waypoints(state):
        for listener in listeners(gateway):
            if port_of(listener) == HBONE:
                yield make_finding(
                    "port-15008-listener",
                    "medium",
                    gateway,
                    f"{name_of(gateway)} is a waypoint with listener {text(listener, 'name')!r} on port {HBONE}: when "
                    "ztunnel dies and comes back later than a change of a route, Envoy takes the port, and each "
                    "request is reset while every status stays True",
                )


def find_port_conflict(state: AuditState) -> Iterable[Result]:
    """Pods in which ztunnel cannot bind port 15008 now, by ztunnel's own log."""
    if state.logs is None:
        return [NotJudged("port-15008-clash", NO_LOGS)]
    by_uid = {text(pod, "metadata", "uid"): pod for pod in state.all_objects("Pod")}
    ready = {pod_name(pod) for pod in ztunnels(state) if is_pod_ready(pod)}
    results: list[Result] = []
    for where, log in state.logs.items():
        since = state.now - RETRIES if where in ready else EVER
        last = {
            one.uid: one
            for one in parse_bind_failures(log)
            if one.uid in by_uid and one.address.endswith(f":{HBONE}") and one.time >= since
        }
        results += [
            make_finding(
                "port-15008-clash",
                "high",
                by_uid[uid],
                f"ztunnel cannot bind port {HBONE} of {name_of(by_uid[uid])}: each request to it is reset; delete it",
                f"{where}: {one.time:%Y-%m-%d %H:%M:%S} {one.text}",
            )
            for uid, one in last.items()
        ]
    return results + unread_logs(state, "port-15008-clash", ztunnels(state))


def rejected(state: AuditState) -> Iterable[Result]:
    """Envoy pods of Envoy Gateway whose log has configuration that Envoy refused; the last refusal of each resource."""
    if state.logs is None:
        return [NotJudged("envoy-rejects-configuration", NO_LOGS)]
    results: list[Result] = []
    for pod in proxy_pods(state):
        last = {one.resource: one for one in parse_rejections(state.logs.get(pod_name(pod), ""))}
        for resource, one in last.items():
            what = resource or "an update"
            results.append(
                make_finding(
                    "envoy-rejects-configuration",
                    "medium",
                    pod,
                    f"Envoy in {name_of(pod)} refused {what}: it goes on with what it had before",
                    f"{one.time or 'time unknown'}: {one.text}",
                )
            )
    return results + unread_logs(state, "envoy-rejects-configuration", proxy_pods(state))


def ztunnel_ready(state: AuditState) -> Iterable[Result]:
    """ztunnel pods that are not ready."""
    for pod in ztunnels(state):
        if not is_pod_ready(pod):
            why = [one.text for one in find_trouble(pod)] or [f"phase {text(pod, 'status', 'phase') or 'unknown'}"]
            yield make_finding(
                "ztunnel-not-ready",
                "high",
                pod,
                f"{name_of(pod)} is not ready: the mesh on node {text(pod, 'spec', 'nodeName') or '?'} may be broken; "
                f"its log says why (`failed to bind to address [::]:{HBONE}` is the clash of a waypoint)",
                *why,
            )


def ztunnels(state: AuditState) -> list[Json]:
    """The pods of ztunnel, in whatever namespace."""
    return [pod for pod in state.all_objects("Pod") if labels_of(pod).get("app") == "ztunnel"]


def unread_logs(state: AuditState, id: str, pods: list[Json]) -> list[Result]:
    """A check that is not judged of these pods, for each whose log could not be read."""
    lost = {name: why for name, why in state.unread_logs.items() if name in {pod_name(pod) for pod in pods}}
    return [NotJudged(id, f"log of {name}: {why}") for name, why in lost.items()]
