"""Bounds of a binomial count: what chance allows, at a stated error rate. Pure."""

from __future__ import annotations

from math import comb


def bounds(trials: int, probability: float, *, error: float) -> tuple[int, int]:
    """The least and the greatest count such that one outside has at most the probability `error`, half on each side.

    Exact: sums of the binomial distribution, no approximation.
    """
    weights = [comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(trials + 1)]
    return _tail(weights, error / 2), trials - _tail(weights[::-1], error / 2)


def _tail(weights: list[float], error: float) -> int:
    """How many of the first outcomes have together at most this probability."""
    total = 0.0
    for count, weight in enumerate(weights):
        total += weight
        if total > error:
            return count
    return len(weights) - 1
