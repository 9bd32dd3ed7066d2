"""The rate limit service: its loaded rules, its counters, and why it does not respond."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from harness import observations, record_replay, timeouts
from harness.clients.admin import Admin
from harness.cluster.protocol import Capability
from harness.components.envoy_pods import check_same_replicas
from harness.errors import CannotJudge, Inconclusive, NotReady, SetupFailed
from harness.kube import Kube
from harness.objects.manifests import Document
from harness.objects.namespace_mapping import Placement
from harness.objects.stack_places import namespace_in
from harness.objects.workloads import is_pod_ready
from harness.proxy import prometheus, rlconfig
from harness.wait import scaled_dwell, until


@dataclass(frozen=True, slots=True)
class Counters:
    """The rate limit service's counters, over all its rules: hits, and hits over the limit."""

    hits: float
    over_limit: float
    pods: tuple[str, ...] = ()  # of which they are the sums
    by_pod: tuple[float, ...] = ()  # the hits of each


@dataclass(slots=True)
class CountersChange:
    """How far the counters moved; 0 until the block that they count is over."""

    hits: float = 0.0
    over_limit: float = 0.0
    asked: int = 0  # replicas that counted any of it


class RateLimitService:
    """The rate-limit service: its rules and its counters."""

    LABELS = "app.kubernetes.io/name=envoy-ratelimit"

    def __init__(self, kube: Kube, admin: Admin, *, lacks: Mapping[Capability, str] = MappingProxyType({})) -> None:
        """`lacks` are capabilities of the cluster that are missing, with the reasons."""
        self._kube, self._admin, self._lacks = kube, admin, lacks
        self.place = kube.places.rate_limit_service
        self.namespace = namespace_in(self.place)

    @property
    def pods(self) -> list[Document]:
        """Its ready pods.

        Raises:
            SetupFailed: there is none: limits fail open, so no result about them means anything.
        """
        pods = [pod for pod in self._kube.list_pods(self.namespace, self.LABELS) if is_pod_ready(pod)]
        if not pods:
            raise SetupFailed(
                f"the rate limit service is down: Deployment {self.place} has no ready pod. "
                "Envoy lets requests pass when it is unreachable: this does not mean that the limit is not enforced",
                remedy=f"look at its pods and at Redis ({self._kube.places.redis})",
            )
        return pods

    @property
    def names(self) -> list[str]:
        """The names of its ready pods."""
        return [str(pod["metadata"]["name"]) for pod in self.pods]

    def describe_trouble(self) -> str:
        """What is known of why it does not answer: its Redis, or the last error of its own log; else nothing."""
        redis = self._kube.places.redis
        if not any(is_pod_ready(pod) for pod in self._kube.list_pods(namespace_in(redis), "app=redis")):
            return f"its Redis ({redis}) has no ready pod"
        logs = [self._kube.read_log(self.namespace, name, "envoy-ratelimit").splitlines() for name in self.names]
        errors = (line for log in logs for line in reversed(log) if "level=error" in line)
        return next(errors, "its pods are ready, their logs have no error")

    def read_rules(self) -> Sequence[rlconfig.Limit]:
        """What it limits now: the same in every replica.

        Raises:
            Inconclusive: replicas differ; each is named with the number of its rules.
        """
        pages = {name: self._admin.get(self.namespace, name, 6070, "/rlconfig") for name in self.names}
        by_pod = {name: sorted(rlconfig.parse_rlconfig(page), key=str) for name, page in pages.items()}
        found = next(iter(by_pod.values()))
        if any(rules != found for rules in by_pod.values()):
            numbers = ", ".join(f"{name}: {len(rules)}" for name, rules in by_pod.items())
            raise Inconclusive(f"the replicas of the rate limit service have different rules ({numbers})")
        observations.record_sighting(
            "rate limit service rules", f"{[f'{rule.requests} per {rule.unit}: {rule.key}' for rule in found]}"
        )
        return found

    def read_counter_by_replica(self, name: str) -> dict[str, float]:
        """A counter of each replica by pod, over the rules of our Gateways: "over_limit", "total_hits", "within_limit";
        0 when there is none yet. Gateways of other namespaces may share the service."""
        wanted = f"ratelimit_service_rate_limit_{name}"
        found, ours = {}, Placement(self._kube.namespace).namespaces
        for pod in self.names:
            text = self._admin.get(self.namespace, pod, 19001, "/metrics")
            samples = [s for s in prometheus.parse_samples(text) if s.name.removesuffix("_total") == wanted]
            found[pod] = sum(s.value for s in samples if _is_ours(dict(s.labels).get("domain", ""), ours))
        return found

    @contextmanager
    def counting_requests(self) -> Iterator[CountersChange]:
        """How far its counters moved by the requests of the block: read before and after, each time standing still.

        Raises:
            Inconclusive: they never stood still.
            CannotJudge: they are published too seldom for that to say anything.
        """
        if "limiter counters" in self._lacks:
            raise CannotJudge(f"limiter counters: {self._lacks['limiter counters']}")
        moved, before = CountersChange(), self.wait_for_settled_counters()
        with observations.collecting_request_ids() as ids:
            yield moved
        after = self.wait_for_settled_counters()
        check_same_replicas(before.pods, after.pods)
        moved.asked = sum(new > old for old, new in zip(before.by_pod, after.by_pod, strict=True))
        moved.hits, moved.over_limit = after.hits - before.hits, after.over_limit - before.over_limit
        observations.record_sighting(
            "rate limit service counters", f"moved by {moved.hits:g}, over the limit {moved.over_limit:g}", of=ids
        )

    def wait_for_settled_counters(self) -> Counters:
        """Its counters, once they stood still for LIMITER_SETTLED seconds: nothing sent before is still uncounted.

        Raises:
            Inconclusive: they never stood still.
        """
        last: list[tuple[float, Counters]] = []  # when the present reading was first seen, and it

        def still() -> bool:
            hits, over = self.read_counter_by_replica("total_hits"), self.read_counter_by_replica("over_limit")
            pods, each = tuple(hits), tuple(hits.values())
            now, counters = record_replay.monotonic(), Counters(sum(each), sum(over.values()), pods, each)
            if not last or last[0][1] != counters:
                last[:] = [(now, counters)]
                return False
            return now - last[0][0] >= scaled_dwell(timeouts.LIMITER_SETTLED)

        try:
            until(
                still,
                bool,
                what="the limiter's counters stand still",
                within=timeouts.LIMITER_COUNTERS,
                every=0.3,
            )
        except NotReady as error:
            raise Inconclusive(str(error)) from error
        observations.record_sighting("rate limit service counters", f"{last[0][1]}")
        return last[0][1]


def _is_ours(domain: str, namespaces: Collection[str]) -> bool:
    """Whether a rule is of a Gateway in one of these, by its domain: "default/bookinfo-ingress/ingress"."""
    namespace, slash, _ = domain.partition("/")
    return not slash or namespace in namespaces
