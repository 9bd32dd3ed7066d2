"""Time that passes only by being slept through: a wait of minutes is tested in no time, and to the second."""

from __future__ import annotations


class Clock:
    """Stands in for time.monotonic and time.sleep; `sleeps` are the seconds of each sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    @property
    def slept(self) -> float:
        return sum(self.sleeps)
