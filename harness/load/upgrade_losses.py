"""The table of upgrade paths: requests lost during each upgrade and downgrade."""

from __future__ import annotations

from collections.abc import Sequence

from harness import observations
from harness.load.timeline import Timeline

TABLE = "upgrade paths"


def record_path(path: str, order: str, timelines: Sequence[Timeline], *, rejected: int, changed: Sequence[str]) -> None:
    """Adds a row: requests sent and lost by all clients, the longest outage of one of them, how many definitions were
    rejected, and what is enforced differently after. `path` is "Envoy Gateway 1.7.5 to 1.9.0"."""
    observations.add_row(
        TABLE,
        {
            "path": path,
            "order": order,
            "sent": str(sum(one.sent for one in timelines)),
            "lost": str(sum(len(one.lost) for one in timelines)),
            "longest outage ms": f"{max(one.outage_ms for one in timelines):.0f}",
            "definitions rejected": str(rejected),
            "enforced differently": ", ".join(changed) or "-",
        },
    )
