"""Time that passes only by being slept through: a wait of minutes is tested in no time.

After a few seconds each sleep takes ten times as long, as on a busy machine: a wait of minutes that runs out looks ten
times, not a hundred. Where time is to the second, a test calls `be_exact`.
"""

from __future__ import annotations

EXACT_AT_FIRST = 5.0
EXACT = 70.0  # longer than each bound that a test checks to the second


class Clock:
    """Stands in for time.monotonic and time.sleep; `sleeps` are the seconds of each sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self._exact = EXACT_AT_FIRST

    def be_exact(self) -> float:
        """Returns the time, from which on sleeps take what they are asked for: a bound is checked to the second, or
        states follow each other in time."""
        self._exact = self.slept + EXACT
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        seconds *= 1 if self.slept < self._exact else 10
        self.sleeps.append(seconds)
        self.now += seconds

    @property
    def slept(self) -> float:
        return sum(self.sleeps)
