"""Envoy's statistics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.proxy.stats import StatAbsent, counter_change, parse_stats
from tests.recordings import text
from tests.recordings.shapes import fuzz

OVERFLOW = "cluster.httproute/default/ratings/rule/0.upstream_rq_pending_overflow"


def test_counters_are_read_by_their_whole_name() -> None:
    """Names hold slashes and dots; histograms and texts are no numbers."""
    found = parse_stats(text("admin/waypoint-stats.txt"))

    assert found[OVERFLOW] > 0
    assert found["listener_manager.lds.update_rejected"] >= 0
    assert "control_plane.identifier" not in found
    assert not any("version_text" in name or name.endswith("_ms") for name in found)


def test_the_last_colon_divides() -> None:
    """A name may hold whatever a cluster or a listener is called."""
    assert parse_stats("listener.a: b.downstream_cx_total: 3\r\n") == {"listener.a: b.downstream_cx_total": 3}


def test_empty_text_has_no_statistics() -> None:
    """Nothing answered is nothing counted."""
    assert parse_stats("") == {}


def test_delta_is_the_growth() -> None:
    """200 refused requests count 200 overflows, wherever the counter stood before."""
    after = parse_stats(text("admin/waypoint-stats.txt"))

    assert counter_change({OVERFLOW: after[OVERFLOW] - 200}, after, OVERFLOW) == 200


def test_absent_counter_is_no_zero() -> None:
    """A delta of a counter that does not exist would prove anything."""
    with pytest.raises(StatAbsent, match="not among the 0 statistics read before"):
        counter_change({}, {OVERFLOW: 1}, OVERFLOW)
    with pytest.raises(StatAbsent, match="not among the 0 statistics read after"):
        counter_change({OVERFLOW: 1}, {}, OVERFLOW)


@fuzz
@given(st.text())
def test_any_text_can_be_read(anything: str) -> None:
    """Garbage is left out, never raised."""
    assert all(value >= 0 for value in parse_stats(anything).values())


@fuzz
@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1), st.integers(0, 2**63)
    )
)
def test_written_statistics_are_read_back(stats: dict[str, int]) -> None:
    """Every name and number survives, colons in names too."""
    assert parse_stats("\n".join(f"{name}: {value}" for name, value in stats.items())) == stats
