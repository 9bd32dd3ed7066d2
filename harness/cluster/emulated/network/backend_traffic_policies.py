"""Translates BackendTrafficPolicies to Envoy and rate limit service configuration. Pure.

Modelled on tests/recordings/admin/{waypoint,bookinfo-ingress}-config_dump.json and ratelimit-rlconfig.txt.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.cluster.emulated.network.model import Json, LimitRule

_DEFAULT = 1024  # of each threshold of a circuitBreaker (the CRD's default)


def targets(policy: Json, gateway: Json) -> bool:
    """Whether the policy targets this Gateway itself."""
    return _targets(policy, "Gateway", gateway)


def effective(route: Json, gateway: Json, policies: Iterable[Json]) -> Json | None:
    """The one policy that acts on a route, or None: the oldest of those that target it, else of its Gateway's."""
    aged = sorted(policies, key=_age)
    own = next((one for one in aged if _targets(one, "HTTPRoute", route)), None)
    return own or next((one for one in aged if _targets(one, "Gateway", gateway)), None)


def thresholds(policy: Json | None) -> Json:
    """Envoy's circuit-breaker thresholds; without a policy only retries are bounded, as recorded."""
    breaker = policy["spec"].get("circuitBreaker") if policy else None
    if breaker is None:
        return {"max_retries": _DEFAULT}
    return {
        "max_connections": breaker.get("maxConnections", _DEFAULT),
        "max_pending_requests": breaker.get("maxPendingRequests", _DEFAULT),
        "max_requests": breaker.get("maxParallelRequests", _DEFAULT),
        "max_retries": breaker.get("maxParallelRetries", _DEFAULT),
    }


def rate_limits(policy: Json | None, route_name: str) -> list[Json]:
    """The `rate_limits` of one Envoy route: one descriptor per rule, led by the route's own name."""
    first = {"generic_key": {"descriptor_key": route_name, "descriptor_value": route_name}}
    limits = []
    for i, rule in enumerate(_rules(policy)):
        actions: list[Json] = [first]
        headers = _headers(rule)
        if not headers:
            actions.append({"generic_key": {"descriptor_key": _key(i, -1), "descriptor_value": _key(i, -1)}})
        for j, header in enumerate(headers):
            key = _key(i, j)
            if header.get("type") == "Distinct":
                actions.append({"request_headers": {"header_name": header["name"], "descriptor_key": key}})
                continue
            kind = "safe_regex" if header.get("type") == "RegularExpression" else "exact"
            value = {"regex": header["value"]} if kind == "safe_regex" else header["value"]
            match = {
                "descriptor_key": key,
                "descriptor_value": key,
                "headers": [{"name": header["name"], "string_match": {kind: value}}],
                "expect_match": not header.get("invert", False),
            }
            actions.append({"header_value_match": match})
        limits.append({"actions": actions})
    return limits


def limits_of(policy: Json | None, domain: str, route_name: str) -> list[LimitRule]:
    """The rate limit service's rules for one Envoy route: the same descriptors with their numbers."""
    found = []
    for i, rule in enumerate(_rules(policy)):
        path: list[tuple[str, str | None]] = [(route_name, route_name)]
        headers = _headers(rule)
        for j, header in enumerate(headers):
            path.append((_key(i, j), None if header.get("type") == "Distinct" else _key(i, j)))
        if not headers:
            path.append((_key(i, -1), _key(i, -1)))
        limit = rule["limit"]
        found.append(LimitRule(domain, tuple(path), int(limit["requests"]), str(limit["unit"]).upper()))
    return found


def _key(rule: int, match: int) -> str:
    return f"rule-{rule}-match-{match}"


def _rules(policy: Json | None) -> list[Json]:
    limit = (policy["spec"].get("rateLimit") or {}) if policy else {}
    rules: list[Json] = (limit.get("global") or {}).get("rules") or []
    return rules


def _headers(rule: Json) -> list[Json]:
    return [header for selector in rule.get("clientSelectors") or () for header in selector.get("headers") or ()]


def _age(policy: Json) -> tuple[str, str]:
    meta = policy["metadata"]
    return str(meta.get("creationTimestamp", "")), str(meta["name"])


def _targets(policy: Json, kind: str, target: Json) -> bool:
    spec, meta = policy["spec"], target["metadata"]
    refs = spec.get("targetRefs") or ()
    same_namespace = policy["metadata"].get("namespace") == meta.get("namespace")
    return same_namespace and any(ref.get("kind") == kind and ref.get("name") == meta["name"] for ref in refs)
