"""Policies that are not the suite's and apply to the traffic that failed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.causes.state import Cause, ClusterState, Failure, age, key, named, show
from harness.objects.unstructured import Json, at, mapping, number, objects, text

KINDS = ("BackendTrafficPolicy", "SecurityPolicy", "ClientTrafficPolicy")


def foreign(state: ClusterState, failure: Failure) -> list[Cause]:
    """Policies of others that do what was seen: limits for 429, circuit breakers for overflow, authorization for 401
    and 403; and those that took over the target of the awaited policy."""
    flags = {flag for one in state.access for flag in one.line.flags.split(",")}
    acts: list[Callable[[Json], str]] = []
    if 429 in failure.statuses or flags & {"RL", "RLSE"}:
        acts.append(_limit)
    if "UO" in flags:
        acts.append(_breaker)
    if failure.statuses & {401, 403} or "UAEX" in flags:
        acts.append(_authorization)
    found = []
    for kind in KINDS:
        for policy in state.of(kind):
            if key(policy) in state.ours:
                continue
            what = next((said for act in acts if (said := act(policy))), "")
            same = _same_target(state, failure, policy)
            for target in _targets(policy) if what or same else ():
                found.append(_cause(state, policy, what or "targets it as well:", target))
                break
    return found


def _cause(state: ClusterState, policy: Json, what: str, target: str) -> Cause:
    created = age(policy, state.now)
    apart = "not of this suite" + (f", {created}" if created else "")
    return Cause(f"{show(text(policy, 'kind'), *named(policy))} ({apart}) {what} {target}", (key(policy),))


def _targets(policy: Json) -> Iterator[str]:
    single = mapping(policy, "spec", "targetRef")
    for ref in [*objects(policy, "spec", "targetRefs"), *([single] if single else [])]:
        yield show(text(ref, "kind"), named(policy)[0], text(ref, "name"))
    if objects_selected := list(objects(policy, "spec", "targetSelectors")):
        yield f"what its targetSelectors select ({len(objects_selected)})"


def _same_target(state: ClusterState, failure: Failure, policy: Json) -> bool:
    """Whether the policy has the kind and a target of the policy whose condition was awaited."""
    kind, _, rest = failure.object.partition("/")
    if kind not in KINDS or kind != text(policy, "kind") or failure.object == key(policy):
        return False
    awaited = state.find(kind, *rest.split("/")[:2]) if rest.count("/") == 1 else None
    return awaited is not None and bool(set(_targets(awaited)) & set(_targets(policy)))


def _limit(policy: Json) -> str:
    for scope in ("global", "local"):
        for rule in objects(policy, "spec", "rateLimit", scope, "rules"):
            limit = mapping(rule, "limit")
            return f"allows {number(limit, 'requests')} requests per {text(limit, 'unit')} to"
    return ""


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
