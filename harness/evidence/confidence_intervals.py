"""Means with 95% confidence intervals, paired differences and ratios of measurements. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

# Student's t for 95%, two-sided, by degrees of freedom; beyond 30 the normal distribution's 1.96 and a little.
_T: tuple[float, ...] = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
)
_T += (2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
_T_MORE = 2.042


class Interval(NamedTuple):
    """A mean and the bounds of its 95% confidence interval."""

    mean: float
    low: float
    high: float

    def text(self, digits: int = 2) -> str:
        """ "1.20 (1.10 to 1.30)"; of a single measurement the mean alone."""
        if self.high == inf:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of independent measurements, by Student's distribution; of one alone nothing bounds it.

    Raises:
        ValueError: there is none.
    """
    if not values:
        raise ValueError("no measurements")
    mean, freedom = fmean(values), len(values) - 1
    if not freedom:
        return Interval(mean, -inf, inf)
    half = (_T[freedom - 1] if freedom <= len(_T) else _T_MORE) * stdev(values) / sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def difference(values: Sequence[float], baseline: Sequence[float]) -> Interval:
    """By how much a measurement exceeds that of the baseline in the same round."""
    return mean_interval([value - base for value, base in zip(values, baseline, strict=True)])


def ratio(values: Sequence[float], baseline: Sequence[float]) -> Interval:
    """How many times that of the baseline in the same round a measurement is."""
    return mean_interval([value / base for value, base in zip(values, baseline, strict=True)])
