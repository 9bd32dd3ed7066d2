"""Waits until a policy is Accepted, then until every replica of a proxy enforces it, and measures both."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness import observations, record_replay, timeouts
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.components import Envoy, RateLimitService
from harness.errors import Absent, NotReady, SetupFailed
from harness.evidence.rate_limit_window import seconds_left
from harness.http_exchange import Answers, get, unique_name
from harness.kube import Kube
from harness.proxy.config_dump import rate_limited_routes, routes
from harness.wait import pause, scaled_bound, until
from harness.waits.every_replica import wait_for_every_replica
from harness.waits.status import wait_for_condition


def wait_for_rate_limit_window() -> None:
    """Waits for the next hour where little is left of this one: a quota's window would end in the middle of a test."""
    left = seconds_left(record_replay.now(), "Hour")
    if left < scaled_bound(timeouts.HOUR_MARGIN):
        pause(left + 1, why="the turn of the hour: rate-limit windows end there")


def wait_for_accepted(kube: Kube, policy: str, *, since: float) -> None:
    """Waits for the policy's Accepted and reports the seconds since `since` (monotonic clock)."""
    wait_for_condition(kube, policy, "Accepted")
    observations.record_seconds("policy applied to Accepted", record_replay.monotonic() - since, of=policy)


def wait_for_circuit_breaker(envoy: Envoy, cluster: str, *, pending: int | None, since: float) -> None:
    """Waits until the ACTIVE cluster of every replica has that maximum of pending requests (None: Envoy's default).

    Accepted came seconds before: the changed cluster waits, warming, for Envoy's initial fetch timeout (15 s).
    """
    _enforced(
        lambda: envoy.read_max_pending_requests_by_replica(cluster),
        pending,
        what=f"Envoy {envoy.gateway} holds max_pending_requests {pending} for {cluster}",
        since=since,
        figure=f"circuit breaker {'applied' if pending is not None else 'deleted'} to enforced",
        of=envoy.gateway,
    )


def wait_for_rate_limit(envoy: Envoy, route: str, *, there: bool, since: float) -> None:
    """Waits until the route in every replica's active configuration has, or has no more, a rate limit."""
    _enforced(
        lambda: is_rate_limited(envoy, route),
        there,
        what=f"Envoy {envoy.gateway} {'limits' if there else 'no longer limits'} {route}",
        since=since,
        figure=f"rate limit {'applied' if there else 'deleted'} to enforced",
        of=envoy.gateway,
    )


def is_rate_limited(envoy: Envoy, route: str) -> dict[str, bool]:
    """Whether a route of this name in the active configuration has a rate limit now, for each replica by pod.

    Raises:
        Absent: a replica has no such route: one that is gone is not one without a limit.
    """
    found = {}
    for pod, dump in envoy.read_config_dumps().items():
        if not any(route in one.name for one in routes(dump)):
            raise Absent(f"Envoy {pod} has no route {route}")
        found[pod] = any(route in one.name for one in rate_limited_routes(dump))
    return found


def has_breaker(envoy: Envoy, cluster: str, pending: int | None) -> dict[str, bool]:
    """Whether the active cluster has that maximum of pending requests, for each replica by pod."""
    return {pod: found == pending for pod, found in envoy.read_max_pending_requests_by_replica(cluster).items()}


def none_of(found: Mapping[str, bool]) -> dict[str, bool]:
    """The opposite at each replica."""
    return {pod: not is_so for pod, is_so in found.items()}


def wait_for_rate_limit_service(client: IngressClient | MeshClient, limiter: RateLimitService, path: str) -> None:
    """Waits until the rate limit service answers for a throwaway client: a 200 has its x-ratelimit-limit header.

    Envoy lets requests pass when it cannot ask the rate limit service, which looks just like no limit.

    Raises:
        SetupFailed: the rate limit service is down or does not answer: no result about limits would mean anything.
    """
    _ = limiter.pods
    caller = unique_name("probe")
    try:
        until(
            lambda: client.send(get(path, x_user_id=unique_name(caller))),
            lambda answer: answer.status == 200 and answer.header("x-ratelimit-limit") is not None,
            what="the limiter answers for a throwaway caller (x-ratelimit-limit on its answer)",
            within=timeouts.LIMITER_READY,
            show=lambda answer: f"{answer.status or answer.error}, no x-ratelimit-limit header",
        )
    except NotReady as error:
        raise SetupFailed(
            "the rate limit service does not answer Envoy, so Envoy lets every request pass; "
            f"{limiter.describe_trouble()}: {error}",
            remedy="the rate limit service or Redis is down; this does not mean that the limit is not enforced: "
            f"see pods of {limiter.place} and its Redis",
        ) from error


def describe_rate_limit_headers(answers: Answers) -> str:
    """Says whether the rate limit service decided on the responses: failing open looks like no limit."""
    silent = sum(header is None for header in answers.header("x-ratelimit-limit"))
    if silent:
        why = "the rate limit service was not asked or did not answer"
        return f"{silent} of {len(answers)} responses lack x-ratelimit-limit: {why}"
    return "each response has the rate limit service's header: the service decided on it"


def _enforced(
    look: Callable[[], Mapping[str, object]], wanted: object, *, what: str, since: float, figure: str, of: str
) -> None:
    wait_for_every_replica(look, wanted, what=what).measure(figure, since, of)
    observations.record_sighting(f"{of} config_dump", what)
