"""How much a run may lose, from what was counted."""

from __future__ import annotations

import pytest

from harness.load import sources
from harness.load.recorded_losses import CONNECTIONS, HANDOVER, UNCLOSED, RecordedLosses
from tests.recordings import HERE


@pytest.mark.parametrize("losses", [UNCLOSED, HANDOVER])
def test_what_is_allowed_follows_from_a_recording(losses: RecordedLosses) -> None:
    """It is more than was counted on average, at most one for each connection, and the recording is there."""
    assert losses.lost / losses.connections < losses.rate < 0.5
    assert 0 < losses.allowed() <= CONNECTIONS == sources.CONNECTIONS
    assert losses.allowed(20) < 20
    assert (HERE / losses.recording).is_dir()
    assert str(losses).startswith(f"{losses.lost} of {losses.connections} connections")


def test_more_runs_without_a_loss_allow_less() -> None:
    assert RecordedLosses(0, 10, "x").allowed(10) > RecordedLosses(0, 100_000, "x").allowed(10) == 0
