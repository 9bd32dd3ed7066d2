"""Cause of a failure: requests that took another path than expected, by access logs. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from harness.causes.state import Cause, ClusterState, FailureFacts, describe, labels, name_parts, object_key
from harness.objects.address_with_port import host_of
from harness.objects.conditions import conditions
from harness.objects.unstructured import Json, strings, text
from harness.objects.waypoint_labels import USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, WAYPOINT_BOUND
from harness.objects.workloads import OWNING_GATEWAY

_ASKED = re.compile(r"access lines of (\d+) requests at Gateway (\S+?):.*last seen: lines of (\d+)")
_STATUS = re.compile(r"(?<![\w.:])[1-5]\d\d(?![\w.:])")  # and not a part of an address
_BODY = re.compile(r"assert '[^']*' in '")


def from_backend(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The status of failed requests is the backend's own: Envoy has no flag for it, and passed it on. A failure about
    flags or counters names no status: then any error of a backend may be the cause."""
    owners, names_status = _pods(state), _STATUS.search(failure.found) is not None
    counted: Counter[tuple[str, str, int]] = Counter()
    for access in state.access:
        line = access.line
        passed_on = line.flags in ("", "-") and line.upstream_host and line.details in (None, "via_upstream")
        if line.status >= 400 and passed_on and (str(line.status) in failure.found or not names_status):
            counted[(access.gateway, line.upstream_host or "", line.status)] += 1
    found = []
    for (gateway, address, status), number in counted.most_common(1):
        pod = owners.get(host_of(address), "")
        who = f"pod {pod} ({address})" if pod else f"the backend at {address}"
        what = f"{number} request{'s' if number > 1 else ''}"
        sentence = f"{who} itself answered {status} to {what}: Envoy of Gateway {gateway} passed it on without a flag"
        found.append(Cause(sentence[0].upper() + sentence[1:], (f"Pod/{pod}",) if pod else ()))
    return found or _past_all_envoys(state, failure)


def _past_all_envoys(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    seen = {access.line.user_agent for access in state.access}
    failed = [call for call in failure.failed_calls if call.status is not None and str(call.status) in failure.found]
    carried = {line.src.addr: line.dst for line in state.connections if line.direction == "outbound" and line.is_ok}
    counted: Counter[tuple[str, int]] = Counter()
    for call in failed:
        end = carried.get(call.local)
        pod = state.find("Pod", end.namespace or "", end.workload or "") if end else None
        if pod is not None and OWNING_GATEWAY not in labels(pod):
            counted["/".join(name_parts(pod)), call.status or 0] += 1
    for (name, status), number in counted.most_common(1):
        what = f"Pod {name} itself answered {status} to {number} request{'s' if number > 1 else ''}"
        return [Cause(f"{what}: by ztunnel's log they came to it past any Envoy", (f"Pod/{name}",))]
    if not state.logs or any(log.unreadable for log in state.logs.values()):
        return []
    direct = [call for call in failed if call.url and call.id and f"e2e/{call.id}" not in seen]
    return [
        Cause(
            f"What is behind {call.url} itself answered {call.status} to {len(direct)} requests: no Envoy's access log "
            "has them"
        )
        for call in direct[:1]
    ]


def answered_by(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Which pod answered, where the claim is about a response's body."""
    if not _BODY.search(failure.text):
        return []
    owners = _pods(state)
    for access in reversed(state.access):
        pod = owners.get(host_of(access.line.upstream_host), "")
        if access.line.status == 200 and pod:
            what = f"Pod {pod} ({access.line.upstream_host}) answered through Gateway {access.gateway}"
            return [Cause(f"{what}, and its response is not what was expected")]
    return []


def without_binding(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Calls of a Service that passed a waypoint to which istiod has not bound it."""
    found = []
    for service in state.objects_of("Service"):
        waypoint = waypoint_of(state, service)
        refused = [one for one in conditions(service) if one.type == WAYPOINT_BOUND and one.status == "False"]
        calls = {f"e2e/{call.id}" for call in failure.calls if call.id and _calls(call.url, service, state.home)}
        passed = [one for one in state.access if one.gateway == waypoint and one.line.user_agent in calls]
        if waypoint and refused and passed:
            sentence = (
                f"{len(passed)} calls of {describe('Service', *name_parts(service))} passed Gateway "
                f"{waypoint}, though istiod has "
                f"not bound it: {refused[0].reason}"
            )
            found.append(Cause(sentence, (object_key(service),)))
    return found


def unknown_addresses(state: ClusterState, _: FailureFacts) -> list[Cause]:
    """Requests that Envoy sent to an address, or got from one, which no pod and no Service has."""
    known = {*_pods(state), *_cluster_ips(state)}
    if "Pod" not in state.objects or "Service" not in state.objects:
        return []
    waypoints = {labels(service).get(USE_WAYPOINT) for service in state.objects_of("Service")}
    gone = any(name.startswith(("Deployment/", "Pod/")) for name in state.removed)  # and their pods' addresses
    found = []
    for access in state.access:
        line = access.line
        upstream, local = host_of(line.upstream_host), host_of(line.upstream_local_address)
        if upstream and upstream not in known:
            sentence = f"Envoy of Gateway {access.gateway} sent requests to {line.upstream_host}, the address of no pod"
            found.append(Cause(sentence))
        elif local and local not in known:
            sentence = f"Envoy of Gateway {access.gateway} dialled from {local}, the address of no pod"
            found.append(Cause(sentence))
        if access.gateway in waypoints and line.client_ip and line.client_ip not in known and not gone:
            sentence = f"Envoy of Gateway {access.gateway} got requests from {line.client_ip}, the address of no pod"
            found.append(Cause(sentence))
    return found[:1]


def without_upstream(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Envoy answered below 400 and had no connection to a backend."""
    lines = [access for access in state.access if access.line.status in range(200, 300)]
    alone = [access for access in lines if access.line.upstream_local_address is None]
    if not alone or "None" not in failure.text:
        return []
    sentence = (
        f"Envoy of Gateway {alone[0].gateway} answered {len(alone)} of {len(lines)} requests without a "
        "connection to a backend"
    )
    return [Cause(sentence)]


def past_the_waypoint(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Calls of a Service that has a waypoint, of which that waypoint's access log has no line. A log is gone with its
    pod, if the harness deleted that."""
    seen = {access.line.user_agent for access in state.access}
    found = []
    for service in state.objects_of("Service"):
        waypoint = waypoint_of(state, service)
        log = state.logs.get(waypoint)
        calls = [call for call in failure.calls if call.status is not None and _calls(call.url, service, state.home)]
        past = [call for call in calls if call.id and f"e2e/{call.id}" not in seen]
        gone = any(name.startswith(f"Pod/{name_parts(service)[0]}/{waypoint}-") for name in state.removed)
        if not waypoint or log is None or log.unreadable or not past or gone:
            continue
        subject = describe("Service", *name_parts(service))
        sentence = (
            f"{len(past)} of {len(calls)} requests bypassed Gateway {waypoint}, the waypoint of {subject}: "
            "its access log lacks them"
        )
        found.append(Cause(sentence, (object_key(service),)))
    return found


def silent_access_log(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Why access lines are missing: the log has none at all, none with the ids that were sent, or unreadable ones."""
    found = _ASKED.search(failure.text)
    log = state.logs.get(found[2]) if found else None
    if found is None or log is None:
        return []
    asked, gateway, seen = found.groups()
    sentence = f"The access log of Gateway {gateway} has lines of {seen} of {asked} requests"
    if log.unreadable:
        sentence += f", and {log.unreadable} in a format that the harness cannot read"
    elif log.lines > int(seen):
        sentence += f", and {log.lines - int(seen)} of none of them: do other requests have their ids, or none?"
    else:
        sentence += ": is it disabled, or were they sent elsewhere?"
    return [Cause(sentence)]


def waypoint_of(state: ClusterState, service: Json) -> str:
    """The waypoint that its label, or its namespace's, names; "" for none, and for one that the harness has deleted."""
    own = labels(service)
    namespace = state.find("Namespace", "", name_parts(service)[0])
    of_namespace = labels(namespace) if namespace is not None else {}
    name = own.get(USE_WAYPOINT) or of_namespace.get(USE_WAYPOINT, "")
    gateway = f"Gateway/{own.get(USE_WAYPOINT_NAMESPACE) or name_parts(service)[0]}/{name}"
    return "" if name == "none" or gateway in state.removed else name


def _calls(url: str, service: Json, home: str) -> bool:
    namespace, name = name_parts(service)
    host = url.partition("://")[2].partition("/")[0].partition(":")[0]
    full = f"{name}.{namespace}"
    return host == full or f"{host}.".startswith(f"{full}.svc.") or (namespace == home and host == name)


def _pods(state: ClusterState) -> Mapping[str, str]:
    """ "namespace/name" by IP; pods in their node's network share its IP and are left out of the names."""
    return {
        text(pod, "status", "podIP"): "/".join(name_parts(pod))
        for pod in state.objects_of("Pod")
        if text(pod, "status", "podIP")
    }


def _cluster_ips(state: ClusterState) -> set[str]:
    return {ip for service in state.objects_of("Service") for ip in strings(service, "spec", "clusterIPs")} | {
        text(service, "spec", "clusterIP") for service in state.objects_of("Service")
    }
