"""Reads the Prometheus metrics of a component."""

from __future__ import annotations

from harness.clients.admin import Admin
from harness.errors import Inconclusive
from harness.proxy.prometheus import MetricSample, NotPrometheus, parse_samples


def read_samples(admin: Admin, namespace: str, pod: str, port: int) -> list[MetricSample]:
    """All that a pod's /stats/prometheus has.

    Raises:
        Inconclusive: it did not answer, or with something else.
    """
    try:
        return parse_samples(admin.get(namespace, pod, port, "/stats/prometheus"))
    except NotPrometheus as error:
        raise Inconclusive(f"metrics of {namespace}/{pod}: {error}") from error
