"""Parses Envoy's admin page /stats: lines `name: value`.

Names hold colons and slashes ("cluster.httproute/default/ratings/rule/0.upstream_rq_503"), so the last ": " divides.
Histograms ("P0(nan,1) ...", "No recorded values") and texts ("version_text: ...") are no numbers and are left out.
Source: tests/recordings/admin/*-stats.txt.
"""

from collections.abc import Mapping


class StatAbsent(LookupError):
    """A statistic that was asked for is not in the text: Envoy has no such cluster, or was asked with a filter."""


def parse_stats(text: str) -> dict[str, int]:
    """Counters and gauges by name; empty for an empty text. Never raises."""
    found = {}
    for line in text.split("\n"):
        name, divider, value = line.strip().rpartition(": ")
        # isdecimal alone would take other scripts' digits too.
        if divider and name and value.isascii() and value.isdecimal() and len(value) <= 20:
            found[name] = int(value)
    return found


def counter_change(before: Mapping[str, int], after: Mapping[str, int], name: str) -> int:
    """How much the counter grew between two readings.

    Raises StatAbsent when either reading lacks it: a counter that does not exist is not a counter at 0. Envoy makes a
    cluster's counters with the cluster, so take the first reading after the cluster is active.
    """
    for reading, which in ((before, "before"), (after, "after")):
        if name not in reading:
            raise StatAbsent(f"{name} is not among the {len(reading)} statistics read {which}")
    return after[name] - before[name]
