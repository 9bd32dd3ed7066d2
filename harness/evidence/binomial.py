"""Binomial bounds: which counts chance allows at a stated error rate, and bounds of a counted rate. Pure."""

from __future__ import annotations

from math import comb


def bounds(trials: int, probability: float, *, error: float) -> tuple[int, int]:
    """The least and the greatest count such that one outside has at most the probability `error`, half on each side.

    Exact: sums of the binomial distribution, no approximation.
    """
    weights = [comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(trials + 1)]
    return _tail(weights, error / 2), trials - _tail(weights[::-1], error / 2)


def upper_rate(events: int, trials: int, *, error: float) -> float:
    """The greatest rate at which so few events in so many trials are no less likely than `error`: the upper bound of
    Clopper and Pearson, one-sided."""
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(60):  # halves the interval: far below what a float can tell
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(trials, events, middle) > error else (low, middle)
    return high


def greatest_count(trials: int, rate: float, *, error: float) -> int:
    """The least count that is exceeded with at most the probability `error`."""
    return next(count for count in range(trials + 1) if 1 - _at_most(trials, count, rate) <= error)


def _at_most(trials: int, count: int, rate: float) -> float:
    return sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(count + 1))


def _tail(weights: list[float], error: float) -> int:
    """How many of the first outcomes have together at most this probability."""
    total = 0.0
    for count, weight in enumerate(weights):
        total += weight
        if total > error:
            return count
    return len(weights) - 1
