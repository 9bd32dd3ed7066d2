"""The time after which Envoy closes an idle connection."""

import pytest

from harness.cluster.emulated.network.shortened_idle_timeout import KEEP_ALIVE, idle_seconds


@pytest.mark.parametrize(
    ("delay_factor", "shares", "seconds"),
    [(1, 1, 5.0), (30, 1, 5 / 30), (30, 10, 5 / 3), (30, 100, KEEP_ALIVE), (1, 10, KEEP_ALIVE)],
)
def test_busy_machine_gets_longer_and_never_more_than_recorded(
    delay_factor: float, shares: float, seconds: float
) -> None:
    """In proportion to the processes that share a core."""
    assert idle_seconds(delay_factor, shares) == pytest.approx(seconds)
