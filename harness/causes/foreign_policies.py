"""Cause of a failure: policies of others that apply to the same traffic. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.causes.state import (
    ROUTE,
    Cause,
    ClusterState,
    FailureFacts,
    describe,
    foreign_text,
    name_parts,
    object_key,
    selected_pods_text,
)
from harness.objects import references
from harness.objects.unstructured import Json, at, mapping, number, objects, text

KINDS = ("BackendTrafficPolicy", "SecurityPolicy", "ClientTrafficPolicy")


def foreign_policies(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Policies of others that do what was seen: limits for 429, headers of a quota, circuit breakers for overflow,
    authorization for 401 and 403; and those that took over the target of the awaited policy."""
    flags = {flag for one in state.access for flag in one.line.flags.split(",")}
    acts: list[Callable[[Json], str]] = []
    if 429 in failure.statuses or flags & {"RL", "RLSE"} or any(call.quota for call in failure.calls):
        acts.append(_limit)
    if any(call.quota for call in failure.calls):
        acts.append(_quota_header)
    if "UO" in flags:
        acts.append(_breaker)
    if failure.statuses & {401, 403} or "UAEX" in flags:
        acts.append(_authorization)
    found = []
    for kind in KINDS:
        for policy in state.objects_of(kind):
            if object_key(policy) in state.ours:
                continue
            what = next((effect for act in acts if (effect := act(policy))), "")
            same = _same_target(state, failure, policy)
            for target in targets(policy) if what or same else ():
                found.append(_cause(state, policy, what or "targets it as well:", target))
                break
    return found


def quota_of_nobody(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Responses with a quota, though no policy has a limit: the backend, or a proxy in front, wrote the header."""
    quotas = sorted({call.quota for call in failure.calls if call.quota and call.quota in failure.text})
    if (
        not quotas
        or "BackendTrafficPolicy" not in state.objects
        or any(map(quota, state.objects_of("BackendTrafficPolicy")))
    ):
        return []
    what = f"responses have x-ratelimit-limit: {quotas[0]}"
    return [Cause(f"No BackendTrafficPolicy has a rate limit, and {what}: the backend's own, or Envoy's of before")]


def foreign_routes(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Requests took a route that is not the suite's: it is more specific, or older, than the suite's own."""
    found = []
    for access in state.access:
        taken = ROUTE.match(access.line.route_name or "")
        route = state.find("HTTPRoute", *taken.groups()) if taken else None
        if taken and state.is_known_missing("HTTPRoute", *taken.groups()) and taken[0] in failure.text:
            sentence = (
                f"requests at Gateway {access.gateway} took {describe('HTTPRoute', *taken.groups())}, "
                "which does not exist"
            )
            found.append(Cause(sentence[0].upper() + sentence[1:]))
        if route is None or object_key(route) in state.ours:
            continue
        apart = foreign_text(route, state.now)
        sentence = f"{describe('HTTPRoute', *name_parts(route))} ({apart}) took requests at Gateway {access.gateway}"
        found.append(Cause(sentence, (object_key(route),)))
    return found


def foreign_mtls(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """A PeerAuthentication that is not the suite's asks for mTLS, and a request had no response."""
    if not any(call.status in (None, 503) for call in failure.failed_calls):
        return []
    found = []
    for policy in state.objects_of("PeerAuthentication"):
        mode = text(policy, "spec", "mtls", "mode")
        if mode == "STRICT" and object_key(policy) not in state.ours:
            sentence = (
                f"{describe('PeerAuthentication', *name_parts(policy))} ({foreign_text(policy, state.now)}) "
                f"is STRICT for {selected_pods_text(policy, state.root_namespace)}: plaintext is rejected"
            )
            found.append(Cause(sentence, (object_key(policy),)))
    return found


def _cause(state: ClusterState, policy: Json, what: str, target: str) -> Cause:
    who = f"{describe(text(policy, 'kind'), *name_parts(policy))} ({foreign_text(policy, state.now)})"
    return Cause(f"{who} {what} {target}", (object_key(policy),))


def targets(policy: Json) -> Iterator[str]:
    """ "HTTPRoute default/bookinfo", for each target of a policy."""
    for ref in references.targets(policy):
        yield describe(text(ref, "kind"), name_parts(policy)[0], text(ref, "name"))
    if objects_selected := list(objects(policy, "spec", "targetSelectors")):
        yield f"what its targetSelectors select ({len(objects_selected)})"


def _same_target(state: ClusterState, failure: FailureFacts, policy: Json) -> bool:
    """Whether the policy has the kind and a target of the policy whose condition was awaited."""
    kind, _, rest = failure.object.partition("/")
    if kind not in KINDS or kind != text(policy, "kind") or failure.object == object_key(policy):
        return False
    awaited = state.find(kind, *rest.split("/")[:2]) if rest.count("/") == 1 else None
    return awaited is not None and bool(set(targets(awaited)) & set(targets(policy)))


def quota(policy: Json) -> tuple[int, str] | None:
    """The first limit of a policy: how many requests, per what unit."""
    for scope in ("global", "local"):
        for rule in objects(policy, "spec", "rateLimit", scope, "rules"):
            limit = mapping(rule, "limit")
            return number(limit, "requests"), text(limit, "unit")
    return None


def _limit(policy: Json) -> str:
    found = quota(policy)
    return f"allows {found[0]} requests per {found[1]} to" if found else ""


def _quota_header(policy: Json) -> str:
    written = [one for how in ("set", "add") for one in objects(policy, "spec", "headers", "lateResponseHeaders", how)]
    return "writes x-ratelimit-limit into responses of" if any(map(_is_quota_header, written)) else ""


def _is_quota_header(header: Json) -> bool:
    return text(header, "name").lower() == "x-ratelimit-limit"


def _breaker(policy: Json) -> str:
    breaker = mapping(policy, "spec", "circuitBreaker")
    if not breaker:
        return ""
    return f"has a circuit breaker ({', '.join(f'{name} {value}' for name, value in breaker.items())}) for"


def _authorization(policy: Json) -> str:
    kinds = [
        name
        for name in ("extAuth", "jwt", "basicAuth", "apiKeyAuth", "oidc", "authorization")
        if at(policy, "spec", name)
    ]
    return f"requires {' and '.join(kinds)} of" if kinds else ""
