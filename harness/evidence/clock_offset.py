"""Estimates the offset between this machine's clock and another one's. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Between `low` and `high` seconds; below 0 the other clock is behind."""

    low: float
    high: float

    @property
    def is_measurable(self) -> bool:
        """Whether the clocks differ by more than the measurement is uncertain by."""
        return not self.low <= 0 <= self.high

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def plus(self, other: ClockOffset) -> ClockOffset:
        """The offset of a clock that is so far ahead of one which is `other` ahead of this machine's."""
        return ClockOffset(self.low + other.low, self.high + other.high)

    def __str__(self) -> str:
        return f"{self.middle:+.1f} s (within {(self.high - self.low) / 2:.1f} s)"


def of_moments(moments: Iterable[tuple[float, float, float]], *, slack: float = 0.0) -> ClockOffset | None:
    """From moments of which the other clock's time is known, and here that each lay between two times: (other, earliest
    here, latest here). None without any, and where no offset fits all of them to within `slack` seconds.
    """
    read = list(moments)
    if not read:
        return None
    low = max(other - latest for other, _, latest in read)
    high = min(other - earliest for other, earliest, _ in read)
    if low > high + slack:
        return None
    return ClockOffset(min(low, high), max(low, high))
