"""Matches descriptors to the limits of the rate limit service, with key, window and count. Pure.

Follows src/limiter/{cache_key,base_limiter}.go of envoyproxy/ratelimit and its recorded numbers
(tests/recordings/admin/ratelimit-metrics.prom: 5 hits on a limit of 3 are 3 within, 1 near, 2 over).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.cluster.emulated.network.model import LimitRule

SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800, "MONTH": 2592000, "YEAR": 31536000}
_NEAR = 0.8  # from this part of the limit on, a hit is "near"
Entries = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Tally:
    """What `hits` more made of a count: how many are over the limit, near it, within it."""

    over: int
    near: int
    within: int

    @property
    def refused(self) -> bool:
        return self.over > 0


def find(limits: Iterable[LimitRule], domain: str, entries: Entries) -> LimitRule | None:
    """The limit whose path is these entries, value by value (None in a path takes any)."""
    for limit in limits:
        if limit.domain == domain and len(limit.path) == len(entries):
            pairs = zip(limit.path, entries, strict=True)
            if all(key == k and value in (None, v) for (key, value), (k, v) in pairs):
                return limit
    return None


def window(unit: str, now: float) -> tuple[int, int]:
    """The window that `now` (Unix seconds) is in: its beginning, and the whole seconds until its end.

    Windows are aligned to the epoch: an hour ends at hh:00:00 UTC.
    """
    seconds = SECONDS[unit]
    return int(now) // seconds * seconds, seconds - int(now) % seconds


def cache_key(domain: str, entries: Entries, unit: str, now: float) -> str:
    """Redis's key: <domain>_<key>_<value>_..._<beginning of the window>."""
    return "_".join([domain, *(part for entry in entries for part in entry), str(window(unit, now)[0])])


def tally(limit: int, after: int, hits: int) -> Tally:
    """What the last `hits` of a count that is now `after` were."""
    before, near = after - hits, int(limit * _NEAR)
    if after > limit:
        if before >= limit:
            return Tally(over=hits, near=0, within=0)
        return Tally(over=after - limit, near=limit - max(near, before), within=limit - before)
    if after > near:
        return Tally(over=0, near=hits if before >= near else after - near, within=hits)
    return Tally(over=0, near=0, within=hits)
