"""Counters of a Gateway's Envoy replicas, read once or before and after a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness import observations
from harness.components.envoy_pods import EnvoyPods, check_same_replicas
from harness.components.metrics import read_samples
from harness.errors import Absent, Inconclusive
from harness.proxy import stats
from harness.proxy.prometheus import MetricSample

METRICS = 19001  # the port at which Envoy Gateway has its proxies expose them


@dataclass(slots=True)
class CounterChange:
    """How far a counter moved; 0 until the block that it counts is over."""

    moved: int = 0


class EnvoyCounters(EnvoyPods):
    """All replicas together."""

    def read_stats(self) -> dict[str, dict[str, int]]:
        """All counters and gauges of each replica by pod, by name."""
        return {name: stats.parse_stats(page) for name, page in self._each("/stats").items()}

    def read_metrics(self) -> list[MetricSample]:
        """What all replicas expose to Prometheus.

        Raises:
            Inconclusive: a page is no Prometheus text.
        """
        return [sample for name in self.names for sample in read_samples(self._admin, self.namespace, name, METRICS)]

    @contextmanager
    def counting_requests_sent(self, cluster: str) -> Iterator[CounterChange]:
        """How many of the requests of the block its replicas sent to a cluster: their counters before and after them.
        A cluster without counters has been sent none: `unused_cluster_counters` of version_differences.yaml.

        Raises:
            Inconclusive: as `sent`; or a replica came or went in the block.
        """
        count, before = CounterChange(), self._sent(cluster)
        with observations.collecting_request_ids() as ids:
            yield count
        after = self._sent(cluster)
        check_same_replicas(before, after)
        count.moved = sum(after.values()) - sum(before.values())
        observations.record_sighting(
            f"{self.gateway} counters", f"requests sent to {cluster} moved by {count.moved}", of=ids
        )

    @contextmanager
    def counting(self, ending: str) -> Iterator[CounterChange]:
        """How far the counters whose names end so ("ssl.fail_verify_no_cert") moved in the block, all together.

        Raises:
            Inconclusive: one fell, or a replica came or went in the block.
        """
        count, before = CounterChange(), self.read_stats()
        with observations.collecting_request_ids() as ids:
            yield count
        after = self.read_stats()
        check_same_replicas(before, after)
        # Envoy makes some counters when they are first needed: one that does not exist is at 0.
        moved = {
            f"{pod} {name}": value - before[pod].get(name, 0)
            for pod, counters in after.items()
            for name, value in counters.items()
            if name.endswith(ending)
        }
        if min(moved.values(), default=0) < 0:
            raise Inconclusive(f"counters {ending} of Gateway {self.gateway} fell: {moved}")
        count.moved = sum(moved.values())
        observations.record_sighting(
            f"{self.gateway} counters", f"{len(moved)} of {ending} moved by {count.moved}", of=ids
        )

    def _sent(self, cluster: str) -> dict[str, int]:
        found, name = self.read_stats(), f"cluster.{cluster}"
        for pod, counters in found.items():
            if f"{name}.membership_total" not in counters:
                raise Absent(f"Envoy {pod} has no cluster {cluster}: its requests are unknown")
        return {pod: counters.get(f"{name}.upstream_rq_total", 0) for pod, counters in found.items()}
