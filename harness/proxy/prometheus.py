"""Any /metrics text as samples, under the names in the text.

prometheus_client adds "_total" to every counter that lacks it (it thinks in OpenMetrics), and the rate-limit service
has such counters: `ratelimit_service_rate_limit_over_limit` in tests/recordings/admin/ratelimit-metrics.prom.
Who looks for a name must find what curl shows, so the added ending is taken off again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


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
    written = set(re.findall(r"^([A-Za-z_:][\w:]*)", text, re.MULTILINE | re.ASCII))
    try:
        return [
            MetricSample(_as_written(sample.name, written), dict(sample.labels), float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
    except (ValueError, TypeError, LookupError, AttributeError) as why:
        # The parser documents no errors; on damaged texts it raised each of these.
        raise NotPrometheus(f"no Prometheus text: {why}; it begins {text[:80]!r}") from why


def total(found: Iterable[MetricSample], name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels; 0 where there is none: a counter that was never
    needed is not exposed."""
    return sum(one.value for one in found if one.name == name and labels.items() <= one.labels.items())


def _as_written(name: str, written: set[str]) -> str:
    bare = name.removesuffix("_total")
    return bare if name not in written and bare in written else name
