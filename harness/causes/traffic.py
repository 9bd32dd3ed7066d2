"""Cause of a failure: how Envoy handled the requests, by routes, backends and response flags. Pure.

Flags and details are those of Envoy's documentation ("response flags"); recordings: tests/recordings/logs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.causes.components import is_dns_failure
from harness.causes.state import (
    ROUTE,
    AccessRecord,
    Cause,
    ClusterState,
    FailureFacts,
    describe,
    join_limited,
    labels,
    name_parts,
    object_key,
    pods_of,
    similar_names_text,
)
from harness.objects.address_with_port import split_address
from harness.objects.references import parents
from harness.objects.unstructured import Json, maybe_number, objects, strings, text
from harness.objects.workloads import is_pod_ready

FLAGS = {  # in the order of how much they tell
    "UO": "circuit breaker overflow (UO): the upstream has as many requests as its circuit breaker allows",
    "RL": "rate limited (RL): the rate limit service rejected it",
    "RLSE": "the rate limit service did not respond (RLSE)",
    "UAEX": "the external authorization service denied it (UAEX)",
    "NR": "no route matched (NR)",
    "NC": "the route's cluster does not exist (NC)",
    "UH": "no healthy upstream (UH): the cluster has no endpoint that is healthy",
    "UF": "the connection to the upstream failed (UF)",
    "URX": "the upstream failed again after all retries (URX)",
    "UC": "the upstream closed the connection (UC)",
    "UR": "the upstream reset the stream (UR)",
    "UT": "the upstream did not respond in time (UT)",
    "SI": "the stream was idle for too long (SI)",
    "DT": "the request or connection exceeded its maximum duration (DT)",
    "DC": "the client closed the connection (DC)",
    "LR": "Envoy reset the stream (LR)",
    "NFCF": "Envoy found no cluster within the time allowed (NFCF)",
    "DPE": "the client's request is not valid HTTP (DPE)",
    "UPE": "the upstream's response is not valid HTTP (UPE)",
}
_SLICE_OF = "kubernetes.io/service-name"


def unmatched_hostname(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The host that was called is a hostname of no route of that Gateway."""
    found = []
    for access in _failed(state, failure):
        if "NR" not in access.line.flags.split(",") or not access.line.authority:
            continue
        host = _host(access.line.authority)
        routes = [route for route in state.objects_of("HTTPRoute") if access.gateway in _parents(route)]
        hostnames = {name for route in routes for name in strings(route, "spec", "hostnames")}
        if not routes or not all(strings(route, "spec", "hostnames") for route in routes):
            continue  # none was read, or one of them takes every host
        if any(_matches(name, host) for name in hostnames):
            continue
        own = "; ".join(
            f"HTTPRoute {'/'.join(name_parts(r))} has {join_limited(strings(r, 'spec', 'hostnames'))}"
            for r in routes[:2]
        )
        near = similar_names_text(host, hostnames)
        near = near if "did you mean" in near else ""
        sentence = f"no HTTPRoute of Gateway {access.gateway} has the hostname {host} that was called: {own}{near}"
        found.append(Cause(sentence, tuple(object_key(route) for route in routes[:2])))
    return found


def dead_backends(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Backends of routes, without ready endpoints. A cause only of failed requests with a 5xx status or no response."""
    about = [call.status for call in failure.failed_calls if call.status is None or str(call.status) in failure.found]
    if not any(status is None or status >= 500 for status in about):
        return []
    return [cause for route in _routes(state, failure) for cause in _dead(state, route)]


def without_endpoints(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """The Service that was called has no ready endpoints."""
    hosts = {
        _host(call.url.partition("://")[2].partition("/")[0]) for call in failure.failed_calls if "://" in call.url
    }
    found = []
    for service in state.objects_of("Service"):
        namespace, name = name_parts(service)
        short = {f"{name}.{namespace}", f"{name}.{namespace}.svc"} | ({name} if namespace == state.home else set())
        if hosts & short or any(host.startswith(f"{name}.{namespace}.svc.") for host in hosts):
            reason = _no_endpoints(state, service)
            if reason:
                found.append(Cause(f"{describe('Service', namespace, name)} {reason}", (object_key(service),)))
    return found


def response_flags(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Envoy's response flags in words, with how many requests had them."""
    counted: dict[tuple[str, str, str], int] = {}
    for access in _failed(state, failure):
        line = access.line
        known = [flag for flag in FLAGS if flag in line.flags.split(",")]
        if known or line.details not in (None, "via_upstream"):
            what = (known or [""])[0], access.gateway, line.details or ""
            counted[what] = counted.get(what, 0) + 1
    # The commonest first.
    order = sorted(counted.items(), key=lambda one: -one[1])
    return [
        Cause(
            f"Envoy of Gateway {gateway} says of {number} request{'s' if number > 1 else ''}: "
            f"{FLAGS.get(flag, 'no response flag')}" + (f", details {details}" if details else "")
        )
        for (flag, gateway, details), number in order[:1]
    ]


def unanswered(_: ClusterState, failure: FailureFacts) -> list[Cause]:
    """What the client reports of requests without a response."""
    errors = Counter((call.error.partition("\n")[0], call.via) for call in failure.calls if call.status is None)
    if "None" not in failure.found or is_dns_failure(failure):
        return []
    return [
        Cause(f"{number} request{'s' if number > 1 else ''}{f' via {via}' if via else ''} got no response: {error}")
        for (error, via), number in errors.most_common(1)
        if error
    ]


def _failed(state: ClusterState, failure: FailureFacts) -> list[AccessRecord]:
    """Lines of failed requests that the failure's message is about: it quotes their status, flag or details, or there
    was none."""
    lost = any(call.status is None for call in failure.calls)
    failed = [one for one in state.access if one.line.status >= 400 or one.line.flags not in ("", "-")]
    return [one for one in failed if _quoted(one, failure) or (lost and not one.line.status)]


def _quoted(access: AccessRecord, failure: FailureFacts) -> bool:
    line = access.line
    flagged = line.flags not in ("", "-")
    # Of a comparison of flags, only those of rejected requests are about this line: "-" is the flag of every other too.
    words = (f"'{line.flags}'", f"'{line.details}'") if flagged else ("'-'",)
    return str(line.status) in failure.found or any(word in failure.found for word in words)


def _routes(state: ClusterState, failure: FailureFacts) -> list[Json]:
    """The routes that failed requests took by the access log; without any such line, all of the suite's."""
    taken = {found.groups() for one in _failed(state, failure) if (found := ROUTE.match(one.line.route_name or ""))}
    routes = state.objects_of("HTTPRoute")
    if taken:
        return [route for route in routes if name_parts(route) in taken]
    return [route for route in routes if object_key(route) in state.ours]


def _dead(state: ClusterState, route: Json) -> Iterator[Cause]:
    subject = describe("HTTPRoute", *name_parts(route))
    for rule in objects(route, "spec", "rules"):
        refs = list(objects(rule, "backendRefs"))
        weights = [1 if (w := maybe_number(ref, "weight")) is None else w for ref in refs]
        for ref, weight in zip(refs, weights, strict=True):
            namespace, name = text(ref, "namespace") or name_parts(route)[0], text(ref, "name")
            service = state.find("Service", namespace, name)
            reason = "does not exist" if state.is_known_missing("Service", namespace, name) else ""
            reason = reason or (_no_endpoints(state, service) if service is not None else "")
            if not reason or not weight:
                continue
            share = f"{weight} of {sum(weights)} requests" if len(refs) > 1 else "all requests"
            sentence = f"{subject} sends {share} to {describe('Service', namespace, name)}, which {reason}"
            yield Cause(sentence, (object_key(route), f"Service/{namespace}/{name}"))


def _no_endpoints(state: ClusterState, service: Json) -> str:
    """Why a Service has no ready endpoint; "" when it has one, or that was not read."""
    namespace, name = name_parts(service)
    if "EndpointSlice" not in state.objects or text(service, "spec", "type") == "ExternalName":
        return ""
    slices = [one for one in state.objects_of("EndpointSlice") if labels(one).get(_SLICE_OF) == name]
    slices = [one for one in slices if name_parts(one)[0] == namespace]
    for endpoint in (endpoint for one in slices for endpoint in objects(one, "endpoints")):
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is not False:  # absent means ready
            return ""
    selector = labels(service, "spec", "selector")
    if not selector or "Pod" not in state.objects:
        return "has no ready endpoints"
    words = ",".join(f"{k}={v}" for k, v in sorted(selector.items()))
    pods = list(pods_of(state, namespace, selector))
    if not pods:
        return f"has no ready endpoints: no pod has its selector's labels ({words})"
    ready = sum(is_pod_ready(pod) for pod in pods)
    return f"has no ready endpoints: {ready} of {len(pods)} pods of its selector ({words}) are ready"


def _parents(route: Json) -> set[str]:
    return {text(ref, "name") for *_, ref in parents(route)}


def _host(authority: str) -> str:
    try:
        return split_address(authority)[0].lower().rstrip(".")
    except ValueError:
        return authority.lower()


def _matches(hostname: str, host: str) -> bool:
    hostname = hostname.lower()
    return host.endswith(hostname[1:]) if hostname.startswith("*.") else host == hostname
