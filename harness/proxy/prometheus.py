"""Parses Prometheus metrics text.

prometheus_client adds "_total" to every counter that lacks it (it thinks in OpenMetrics), and the rate-limit service
has such counters: `ratelimit_service_rate_limit_over_limit` in tests/recordings/admin/ratelimit-metrics.prom. Envoy has
`envoy_cluster_upstream_rq` (by response code) beside `envoy_cluster_upstream_rq_total`. Who looks for a name must find
what curl shows, so counters are read as gauges, whose names it leaves alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_COUNTER = re.compile(r"^(# TYPE \S+) counter$", re.MULTILINE)


class NotPrometheus(ValueError):
    """The text is no Prometheus exposition: most often the answer of another port, or half an answer."""


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One value; a histogram is its `_bucket`, `_sum` and `_count` samples."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse_samples(text: str) -> list[MetricSample]:
    """Every sample of the text, in its order; [] for an empty one. Raises Unreadable."""
    try:
        return [
            MetricSample(sample.name, dict(sample.labels), float(sample.value))
            for family in text_string_to_metric_families(_COUNTER.sub(r"\1 gauge", text))
            for sample in family.samples
        ]
    except (ValueError, TypeError, LookupError, AttributeError) as why:
        # The parser documents no errors; on damaged texts it raised each of these.
        raise NotPrometheus(f"no Prometheus text: {why}; it begins {text[:80]!r}") from why


def total(found: Iterable[MetricSample], name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels; 0 where there is none: a counter that was never
    needed is not exposed."""
    return sum(one.value for one in found if one.name == name and labels.items() <= one.labels.items())
