"""Waits until something holds at every replica of a proxy, and measures the slowest and the spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness import observations, record_replay, timeouts
from harness.errors import Inconclusive
from harness.wait import until


@dataclass
class Arrivals:
    """When each replica was first seen as wanted, and ever since; seconds of a clock that only goes forward."""

    at: dict[str, float] = field(default_factory=dict)

    def note(self, wanted: Mapping[str, bool]) -> bool:
        """Takes one look at all replicas in; whether each is as wanted now. No replica is not."""
        now = record_replay.monotonic("replicas")
        self.at = {name: self.at.get(name, now) for name, is_so in wanted.items() if is_so}
        return bool(wanted) and len(self.at) == len(wanted)

    @property
    def slowest(self) -> str:
        """The replica that was the last."""
        return max(self.at, key=lambda name: self.at[name])

    @property
    def spread(self) -> float:
        """Seconds from the first replica to the last."""
        return max(self.at.values()) - min(self.at.values())

    def measure(self, figure: str, since: float, of: str) -> float:
        """Reports the seconds since `since` until the last replica, and with several the spread; returns the former."""
        took = self.at[self.slowest] - since
        observations.record_seconds(figure, took, of=of)
        if len(self.at) > 1:
            observations.record_seconds(
                f"{figure}, spread over replicas", self.spread, of=f"{of}, {len(self.at)} replicas"
            )
            last = f"{self.slowest} was the last, {self.spread:.2f}s after the first"
            observations.record_sighting(f"{of} replicas", f"{figure}: {last}")
        return took


def wait_for_every_replica(look: Callable[[], Mapping[str, object]], wanted: object, *, what: str) -> Arrivals:
    """Waits until `look` sees the wanted value at every replica.

    Raises:
        NotReady: it is not so in time; each replica with what it has is named.
    """
    arrivals = Arrivals()
    until(
        look,
        lambda seen: arrivals.note({name: value == wanted for name, value in seen.items()}),
        what=what,
        within=timeouts.XDS_PROPAGATION,
        every=0.25,
        transient=(Inconclusive,),
        show=lambda seen: ", ".join(f"{name}: {value}" for name, value in seen.items()),
    )
    return arrivals
