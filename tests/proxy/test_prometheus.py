"""Prometheus texts of the rate-limit service and of ztunnel."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.proxy.prometheus import MetricSample, NotPrometheus, parse_samples
from tests.recordings import text
from tests.recordings.shapes import fuzz

DOMAIN = "default/bookinfo-ingress/ingress"


def total(found: list[MetricSample], name: str, **labels: str) -> float:
    """The sum of the samples of this name that carry these labels."""
    named = [one for one in found if one.name == name and labels.items() <= one.labels.items()]
    assert named
    return sum(one.value for one in named)


def test_counters_keep_the_name_of_the_text() -> None:
    """prometheus_client would call it ..._over_limit_total, which curl never shows."""
    found = parse_samples(text("admin/ratelimit-metrics.prom"))

    assert total(found, "ratelimit_service_rate_limit_over_limit", domain=DOMAIN) == 2
    assert total(found, "ratelimit_service_rate_limit_total_hits", domain=DOMAIN, key2="rule-0-match-0") == 5
    assert total(found, "ratelimit_redis_pool_cx_total") == 10


def test_names_that_end_in_total_keep_it() -> None:
    """ztunnel writes OpenMetrics: there the ending is its own."""
    found = parse_samples(text("admin/ztunnel-metrics.prom"))

    assert total(found, "istio_tcp_connections_opened_total", reporter="source", source_workload="hey") == 494
    assert total(found, "istio_tcp_connections_opened_total", connection_security_policy="mutual_tls") > 494


def test_names_that_differ_by_total_alone_stay_apart() -> None:
    """Envoy counts requests, and beside them those of each response code."""
    text = (
        '# TYPE rq counter\nrq{code="200"} 4\nrq{code="503"} 1\n'
        "# TYPE rq_total counter\nrq_total{} 5\n# TYPE rq_ms histogram\nrq_ms_sum{} 7\n"
    )

    assert [(one.name, one.value) for one in parse_samples(text)] == [
        ("rq", 4.0),
        ("rq", 1.0),
        ("rq_total", 5.0),
        ("rq_ms_sum", 7.0),
    ]


def test_empty_text_has_no_samples() -> None:
    """Nothing answered is nothing counted."""
    assert parse_samples("") == []


@pytest.mark.parametrize("other", ["<html>no</html>", "x{", "x 1\nx", "# TYPE a b c\n"])
def test_other_texts_are_refused(other: str) -> None:
    """The answer of a wrong port is an error, not an empty result."""
    with pytest.raises(NotPrometheus, match="no Prometheus text"):
        parse_samples(other)


@fuzz
@given(st.text() | st.text('abc_{}="\\, 1#\n'))
def test_any_text_is_read_or_refused(anything: str) -> None:
    """Garbage raises Unreadable and nothing else."""
    with suppress(NotPrometheus):
        assert isinstance(parse_samples(anything), list)


@fuzz
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters='\\"\n\r')), st.integers(0, 10**6)),
        min_size=1,
    )
)
def test_labels_are_read_as_written(series: list[tuple[str, int]]) -> None:
    """Whatever a label holds, its sample has it, and the value that stands beside it."""
    found = parse_samples("\n".join(f'hits{{who="{who}"}} {count}' for who, count in series))

    assert [(one.name, one.labels["who"], one.value) for one in found] == [("hits", *one) for one in series]
