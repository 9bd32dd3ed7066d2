"""Requests lost in recorded disruptions, and how many a run may lose by chance. Pure.

A promise of "no request is lost" has exceptions that are Envoy's and ztunnel's own (docs/outages.md). How many requests
a run may lose to one is not a number that fitted some runs: it follows from how often it was counted, per connection
of the client, since each connection loses one response at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.evidence.binomial import greatest_count, upper_rate

RATE_ERROR = 0.05  # that the true rate is above its bound
COUNT_ERROR = 0.001  # that a run loses more than allowed, at that rate
CONNECTIONS = 2  # of each client of the load generator (harness/load/sources.py)


@dataclass(frozen=True, slots=True)
class RecordedLosses:
    """`lost` responses of `connections`, over all recorded runs, and where they are recorded."""

    lost: int
    connections: int
    recording: str

    @property
    def rate(self) -> float:
        """The upper bound of the rate per connection, with 95 % confidence."""
        return upper_rate(self.lost, self.connections, error=RATE_ERROR)

    def allowed(self, connections: int = CONNECTIONS) -> int:
        """How many a run with so many connections may lose: more come by chance once in a thousand runs."""
        return greatest_count(connections, self.rate, error=COUNT_ERROR)

    def __str__(self) -> str:
        counted = f"{self.lost} of {self.connections} connections in recorded runs"
        return f"{counted}: at most {self.rate:.0%} with 95 % confidence (tests/recordings/{self.recording})"


# Kubernetes 1.34, Istio 1.29.1, Envoy Gateway 1.7.5, 2026-11-21. Complete responses whose connection a draining
# waypoint did not close: two in each of two of sixteen rolling restarts, two in one of eleven drains.
UNCLOSED = RecordedLosses(lost=6, connections=2 * (16 + 11), recording="rolled-unclosed")
# New connections lost while ztunnel hands over to its new pod: one in each of two of eleven restarts.
HANDOVER = RecordedLosses(lost=2, connections=2 * 11, recording="ztunnel-handover")
