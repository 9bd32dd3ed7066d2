"""The emulated rate limit service: envoy.service.ratelimit.v3 over gRPC, counters in Redis, /rlconfig and /metrics.

Pages as in tests/recordings/admin/ratelimit-rlconfig.txt and ratelimit-metrics.prom.
"""

from __future__ import annotations

import importlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc

from harness.cluster.emulated.http_pages import Pages, at
from harness.cluster.emulated.network import rate_limit_matching
from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.model import LimitRule
from harness.cluster.emulated.network.redis_process import RedisConnection, RedisError

GRPC_PORT, HTTP_PORT, DEBUG_PORT, METRICS_PORT = 8081, 8080, 6070, 19001
_JITTER = 300  # seconds at most, added to a counter's time to live
_METHOD = "envoy.service.ratelimit.v3.RateLimitService"
_rls = importlib.import_module("envoy.service.ratelimit.v3.rls_pb2")


@dataclass(slots=True)
class RateLimitFaults:
    """What can be broken at run time; all off at first."""

    off_by: int = 0  # this many more (or fewer) pass than the rule, and the headers, say
    shared_bucket: bool = False  # one bucket for all clients


class EmulatedRateLimitService:
    """gRPC on 8081, /healthcheck on 8080, /rlconfig on 6070, /metrics on 19001, all at hidden(pod_ip)."""

    def __init__(self, pod_ip: str, *, redis: tuple[str, int], log: Callable[[str], None]) -> None:
        """`redis` is the Redis Service's VIP and port; it is dialled from the pod's address."""
        self.faults = RateLimitFaults()
        self._at = hidden(pod_ip)
        self._redis = RedisConnection(redis, pod_ip)
        self._log = log
        self._rules: tuple[LimitRule, ...] = ()
        self._counts: Counter[str] = Counter()
        self._server: Any = None
        self._pages = Pages(
            self._at,
            {
                HTTP_PORT: at({"/healthcheck": lambda: "OK"}),
                DEBUG_PORT: at({"/rlconfig": self.rlconfig}),
                METRICS_PORT: at({"/metrics": self.metrics}),
            },
        )

    @property
    def running(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        """Begins to answer."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._should_rate_limit,
            request_deserializer=_rls.RateLimitRequest.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_METHOD, {"ShouldRateLimit": handler}),)
        )
        self._server.add_insecure_port(f"{self._at}:{GRPC_PORT}")
        await self._server.start()
        await self._pages.start()
        self._say("info", "Stats initialized for Prometheus")
        self._say("warning", f"Listening for gRPC on '0.0.0.0:{GRPC_PORT}'")

    async def stop(self) -> None:
        """Ends it: Envoy fails open from now on. Its counters in Redis stay."""
        server, self._server = self._server, None
        if server:
            await server.stop(None)
        await self._pages.stop()
        self._redis.close()

    def set_rules(self, rules: Iterable[LimitRule]) -> None:
        """All limits of all domains, as Envoy Gateway sends them over xDS."""
        new = tuple(rules)
        if new != self._rules:
            self._rules = new
            self._counts["config_load_success"] += 1
            self._say("info", "Successfully loaded new configuration")

    def rlconfig(self) -> str:
        """/rlconfig: one line per limit."""
        return "".join(
            f"{rule.key}: unit={rule.unit} requests_per_unit={rule.requests}, shadow_mode: false, quota_mode: false\n"
            for rule in self._rules
        )

    def metrics(self) -> str:
        """/metrics in Prometheus text: the service's own counters as recorded, none of Go's."""
        out = []
        for name, value in sorted(self._counts.items()):
            bare = name.partition("{")[0]
            head = f"# TYPE ratelimit_service_{bare} counter"
            out += [head] if head not in out else []
            out.append(f"ratelimit_service_{name} {value}")
        return "\n".join([*out, ""])

    async def _should_rate_limit(self, request: Any, context: Any) -> Any:
        self._count('total_requests{grpc_method="ShouldRateLimit"}', 1)
        response = _rls.RateLimitResponse(overall_code=_rls.RateLimitResponse.OK)
        try:
            for descriptor in request.descriptors:
                hits = max(1, request.hits_addend)
                entries = [(entry.key, entry.value) for entry in descriptor.entries]
                status = await self._status(request.domain, entries, hits)
                response.statuses.append(status)
                if status.code == _rls.RateLimitResponse.OVER_LIMIT:
                    response.overall_code = _rls.RateLimitResponse.OVER_LIMIT
        except RedisError as error:
            self._count('should_rate_limit_error{err_type="redis_error"}', 1)
            self._say("error", f"caught error during call: {error}")
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return response

    async def _status(self, domain: str, entries: list[tuple[str, str]], hits: int) -> Any:
        rule = rate_limit_matching.find(self._rules, domain, entries)
        if rule is None:
            return _rls.RateLimitResponse.DescriptorStatus(code=_rls.RateLimitResponse.OK)
        now = time.time()
        if self.faults.shared_bucket:
            entries = [(k, v or "shared") for k, v in rule.path]
        key = rate_limit_matching.cache_key(domain, entries, rule.unit, now)
        life = rate_limit_matching.SECONDS[rule.unit] + random.randint(0, _JITTER)
        quoted = json.dumps(key, ensure_ascii=False)
        after, _ = await self._redis.integers(f"INCRBY {quoted} {hits}", f"EXPIRE {quoted} {life}")
        counted = rate_limit_matching.tally(rule.requests + self.faults.off_by, after, hits)
        self._tell(rule, hits, counted)
        code = _rls.RateLimitResponse.OVER_LIMIT if counted.refused else _rls.RateLimitResponse.OK
        limit = _rls.RateLimitResponse.RateLimit(
            requests_per_unit=rule.requests, unit=_rls.RateLimitResponse.RateLimit.Unit.Value(rule.unit)
        )
        status = _rls.RateLimitResponse.DescriptorStatus(
            code=code, current_limit=limit, limit_remaining=max(0, rule.requests - after)
        )
        status.duration_until_reset.seconds = rate_limit_matching.window(rule.unit, now)[1]
        return status

    def _tell(self, rule: LimitRule, hits: int, counted: rate_limit_matching.Tally) -> None:
        keys = [k if v is None else f"{k}_{v}" for k, v in rule.path]  # only two of them became labels
        labels = ",".join([f'domain="{rule.domain}"', *(f'key{i}="{key}"' for i, key in enumerate(keys[:2], 1))])
        for name, number in (
            ("total_hits", hits),
            ("over_limit", counted.over),
            ("near_limit", counted.near),
            ("within_limit", counted.within),
        ):
            self._count(f"rate_limit_{name}{{{labels}}}", number)

    def _count(self, name: str, number: int) -> None:
        self._counts[name] += number

    def _say(self, level: str, message: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._log(f'time="{at}" level={level} msg="{message}"')
