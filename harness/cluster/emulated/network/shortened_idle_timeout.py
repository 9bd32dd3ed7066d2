"""Shortens Envoy's idle timeouts in the emulated cluster, within what a busy machine needs.

Envoy counts a connection as idle from before it is established. On a machine whose processes wait for a core, one of a
burst's connections takes longer than a shortened timeout, and Envoy closes it before its first request (503, UF).
"""

from __future__ import annotations

import os

KEEP_ALIVE = 5.0  # seconds that a connection to an idle app was kept, as recorded (docs/findings.md)
_SHARES = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # processes for each core, when the cluster starts


def idle_seconds(delay_factor: float, shares: float = _SHARES) -> float:
    """The recorded time divided by the delay factor, and multiplied by the processes that share a core; never more than
    was recorded."""
    return min(KEEP_ALIVE, KEEP_ALIVE / delay_factor * shares)
