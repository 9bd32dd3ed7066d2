"""Audit check: connections that bypassed a waypoint, found in the access logs of the destinations' ztunnels.

ztunnel sends to a waypoint what enrolled clients send to the address of a Service. A client outside the mesh, and one
that calls a pod's own address, reach the pod past it; the destination's ztunnel writes both down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from harness.audit.checks.port_15008 import NO_LOGS, unread_logs, ztunnels
from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import NEVER, AuditState, labels_of, namespace_of
from harness.audit.waypoint_bindings import bound_services, has_vip, proxy_pods, use_of
from harness.logs.ztunnel import ZtunnelLine, parse_ztunnel_log
from harness.objects.address_with_port import split_address
from harness.objects.unstructured import Json, mapping, maybe_number, name_of, objects, text
from harness.objects.waypoint_labels import WAYPOINT_BOUND, is_for_services
from harness.objects.workloads import pod_name, target_port

ID = "waypoint-bypassed"
CLIENTS = 5  # that a finding names
SETTLED = timedelta(seconds=10)  # from the binding to the last ztunnel that knows it, with the clocks of nodes


def bypassed(state: AuditState) -> Iterable[Result]:
    """Services behind a waypoint whose pods took connections from elsewhere, on the ports of the Service, since it was
    bound. Envoy Gateway's own ingresses are left to ingress-bypasses-waypoint; a pod of another Service without this
    waypoint may be called directly."""
    if state.logs is None:
        return [NotJudged(ID, NO_LOGS)]
    by_pod: dict[str, list[ZtunnelLine]] = defaultdict(list)
    for pod in ztunnels(state):
        for line in parse_ztunnel_log(state.logs.get(pod_name(pod), "")).lines:
            if line.direction == "inbound" and line.is_ok:
                by_pod[f"{line.dst.namespace}/{line.dst.workload}"].append(line)
    return [*_found(state, by_pod), *unread_logs(state, ID, ztunnels(state))]


def _found(state: AuditState, by_pod: dict[str, list[ZtunnelLine]]) -> Iterator[Result]:
    proxies = {pod_name(pod) for pod in proxy_pods(state)}
    accounts = {_account(pod) for pod in proxy_pods(state)}
    for service, use, gateway in bound_services(state):
        since = _bound_since(service)
        if since is None or not is_for_services(labels_of(gateway)):
            continue
        past: dict[str, list[ZtunnelLine]] = defaultdict(list)
        for pod in state.pods_of(service):
            ports = {str(port) for port in _ports(service, pod)}
            lines = [
                line
                for line in by_pod.get(pod_name(pod), ())
                if split_address(line.dst.hbone_addr or line.dst.addr)[1] in ports
                and line.opened > since + SETTLED
                and f"{line.src.namespace}/{line.src.workload}" not in proxies
                and (line.src.identity or "").partition("/ns/")[2] not in accounts
            ]
            if lines and all(_waypoint(state, one) == (use.namespace, use.name) for one in _services(state, pod)):
                for line in lines:
                    past[_describe(line)].append(line)
        if past:
            count = sum(map(len, past.values()))
            yield make_finding(
                ID,
                "high",
                [service, gateway],
                f"pods of {name_of(service)} took {count} connections past waypoint {use.name} since it was bound: "
                "no policy at the waypoint saw them",
                *(
                    f"{client}: {len(lines)} connections, the last to {lines[-1].dst.hbone_addr or lines[-1].dst.addr} "
                    f"at {lines[-1].time:%Y-%m-%d %H:%M:%S}"
                    for client, lines in sorted(past.items())[:CLIENTS]
                ),
            )


def _describe(line: ZtunnelLine) -> str:
    who = f"Pod {line.src.namespace}/{line.src.workload}" if line.src.workload else f"address {line.src.ip}"
    return f"{who}, {'enrolled, by the address of a pod' if line.src.identity else 'outside the mesh'}"


def _waypoint(state: AuditState, service: Json) -> tuple[str, str] | None:
    use = use_of(state, service)
    return (use.namespace, use.name) if use else None


def _account(pod: Json) -> str:
    """As a SPIFFE id ends: "default/sa/waypoint"."""
    return f"{namespace_of(pod)}/sa/{text(pod, 'spec', 'serviceAccountName') or 'default'}"


def _bound_since(service: Json) -> datetime | None:
    """When the Service was bound to its waypoint; None when it is not."""
    for one in objects(service, "status", "conditions"):
        if (text(one, "type"), text(one, "status")) == (WAYPOINT_BOUND, "True"):
            try:
                return datetime.fromisoformat(text(one, "lastTransitionTime"))
            except ValueError:
                return NEVER
    return None


def _services(state: AuditState, pod: Json) -> Iterator[Json]:
    """The Services with an address that select a pod."""
    for service in state.all_objects("Service"):
        wanted = mapping(service, "spec", "selector")
        here = namespace_of(service) == namespace_of(pod) and has_vip(service)
        if here and wanted and wanted.items() <= labels_of(pod).items():
            yield service


def _ports(service: Json, pod: Json) -> Iterator[int]:
    """The ports of a pod that a Service sends to."""
    for port in objects(service, "spec", "ports"):
        if target := target_port(port, pod) or maybe_number(port, "port"):
            yield target
