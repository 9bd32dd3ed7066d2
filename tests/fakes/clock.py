"""Time that passes only by being slept through: a wait of minutes is tested in no time, and to the second.

After EXACT seconds each sleep takes ten times as long, as on a busy machine: a wait of minutes that runs out looks
dozens of times, not a thousand.
"""

from __future__ import annotations

EXACT = 70.0  # longer than each bound that a test checks to the second


class Clock:
    """Stands in for time.monotonic and time.sleep; `sleeps` are the seconds of each sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        seconds *= 1 if self.slept < EXACT else 10
        self.sleeps.append(seconds)
        self.now += seconds

    @property
    def slept(self) -> float:
        return sum(self.sleeps)
