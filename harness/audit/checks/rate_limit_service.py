"""Audit check: global rate limits without a working rate limit service or Redis, which let every request pass."""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState, namespace_of
from harness.audit.waypoint_bindings import controllers
from harness.objects.unstructured import Json, at, mapping, name_of, text
from harness.objects.workloads import is_pod_ready, rollout_progress

DEPLOYMENT = "envoy-ratelimit"


def fail_open(state: AuditState) -> Iterable[Result]:
    """Global limits without a working rate limit service or Redis."""
    limited = [
        policy for policy in state.all_objects("BackendTrafficPolicy") if mapping(policy, "spec", "rateLimit", "global")
    ]
    if not limited:
        return []
    homes = {namespace_of(one) for one in controllers(state)}
    if not homes:
        return [NotJudged("rate-limit-fails-open", "no Deployment with label control-plane=envoy-gateway was found")]
    results: list[Result] = []
    for home in sorted(homes):
        service = state.find("Deployment", home, DEPLOYMENT)
        if service is None:
            results.append(_down(state, limited, f"there is no Deployment {home}/{DEPLOYMENT}", []))
        elif not (rollout := rollout_progress(service)).done:
            results.append(_down(state, limited, f"{name_of(service)}: {rollout.text}", [service]))
    return [*results, *_redis(state, limited)]


def _redis(state: AuditState, limited: list[Json]) -> Iterable[Result]:
    if state.config is None:
        return [NotJudged("rate-limit-fails-open", f"where Redis is, is not known: {state.config_unread}")]
    url = text(state.config, "rateLimit", "backend", "redis", "url")
    host = url.rpartition("://")[2].partition(",")[0].rpartition(":")[0]
    name, _, namespace = host.partition(".")
    namespace = namespace.partition(".")[0]
    service = state.find("Service", namespace, name)
    if service is None or not mapping(service, "spec", "selector"):
        return [NotJudged("rate-limit-fails-open", f"Redis at {url or 'no address'!s} is no Service of this cluster")]
    pods = state.pods_of(service)
    if any(is_pod_ready(pod) for pod in pods):
        return []
    return [_down(state, limited, f"Redis ({name_of(service)}) has {len(pods)} pods, none of them ready", [service])]


def _down(state: AuditState, limited: list[Json], why: str, those: list[Json]) -> Result:
    closed = at(state.config, "rateLimit", "failClosed") is True
    unknown = state.config is None
    effect = (
        "each limited request is answered 500" if closed else "every request passes, as if there were no limit"
    ) + (" (unless failClosed is set: Envoy Gateway's configuration could not be read)" if unknown else "")
    return make_finding(
        "rate-limit-fails-open",
        "high",
        [*limited, *those],
        f"{name_of(limited[0])}{' and others are' if len(limited) > 1 else ' is a'} global rate limit"
        f"{'s' if len(limited) > 1 else ''}, and {why}: {effect}",
    )
