"""Arithmetic of fixed rate limit windows.

The rate-limit service counts in fixed windows aligned to the UNIX epoch, not in sliding ones: with unit Hour every
count is 0 again at hh:00:00 UTC, so a test that runs across it sees up to twice the quota (envoyproxy/ratelimit,
src/limiter/cache_key.go). Its clock is the node's: leave a second or two for a difference to ours.
"""

from datetime import datetime

UNIT_SECONDS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400}


def seconds_left(now: datetime, unit: str) -> float:
    """Seconds until the counts of this unit are 0 again: more than 0, at most the unit's length.

    now must be aware. Raises ValueError for a naive time and for a unit that is not in UNIT_SECONDS.
    """
    if now.tzinfo is None:
        raise ValueError(f"a window needs a time with a time zone, not {now}")
    if unit not in UNIT_SECONDS:
        raise ValueError(f"no rate-limit unit {unit!r}: one of {', '.join(UNIT_SECONDS)}")
    length = UNIT_SECONDS[unit]
    return length - now.timestamp() % length


def expected_statuses(quota: int, sent: int, already: int = 0) -> list[int]:
    """The statuses of `sent` requests in turn in one window of which `already` is used up: 200s, then 429s.

    Raises ValueError for a negative number.
    """
    if min(quota, sent, already) < 0:
        raise ValueError(f"negative: quota {quota}, sent {sent}, already {already}")
    passes = min(sent, max(0, quota - already))
    return [200] * passes + [429] * (sent - passes)
