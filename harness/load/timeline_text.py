"""Formats a timeline as a text picture, and as a row of the outage table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.load.timeline import Sample, Timeline

CELL, ROW = 0.1, 50  # seconds a character, characters a row
SLOW = 1000.0  # milliseconds
LEGEND = ". served   s served, slowly (over 1 s)   ~ some lost   x all lost   (blank) none begun"


def timeline_as_text(timeline: Timeline) -> str:
    """A line for each five seconds, a character for each tenth; then what was done, and each outage with it."""
    first = timeline.samples[0].at
    cells: dict[int, list[Sample]] = {}
    for sample in timeline.samples:
        cells.setdefault(int((sample.at - first) / CELL), []).append(sample)
    marks = "".join(_mark(timeline, cells.get(n, ())) for n in range(max(cells) + 1))
    lines = [headline(timeline), f"  {LEGEND}"]
    lines += [f"  {n * CELL:6.1f}s |{marks[n : n + ROW]:<{ROW}}|" for n in range(0, len(marks), ROW)]
    for event in timeline.events:
        lines.append(f"  done    {event.began - first:6.2f}s to {event.ended - first:6.2f}s  {event.what}")
    for outage in timeline.outages:
        end = f"{outage.ms:6.0f} ms" if outage.closed else f"{outage.ms:6.0f} ms and not over"
        lines.append(
            f"  outage  {outage.began - first:6.2f}s for {end}, {outage.lost} lost, "
            f"with: {timeline.describe_cause(outage)}"
        )
    return "\n".join(lines) + "\n"


def headline(timeline: Timeline) -> str:
    """One line: who, how many, what was lost, and the proxy's flags where they are known."""
    flags = f", flags of the lost: {_flagged(timeline.lost)}" if timeline.proxy and timeline.lost else ""
    statuses = ", ".join(f"{status} x {n}" for status, n in sorted(timeline.statuses.items()))
    return (
        f"{timeline.client}: {timeline.sent} sent ({statuses}), {len(timeline.lost)} lost, "
        f"longest outage {timeline.outage_ms:.0f} ms, slowest answer {timeline.slowest_ms:.0f} ms{flags}"
    )


def flags_line(timeline: Timeline) -> str:
    """One line: what the proxy's own log says of them."""
    return f"of {timeline.sent} requests of {timeline.client}: {_flagged(timeline.samples)}"


def event_rows(timeline: Timeline) -> list[dict[str, str]]:
    """The table's rows, one for each event: event, client, outage ms, lost of sent, slowest ms, the proxy's flags
    of the lost, promise. Requests are those from the event to the next one."""
    return [_row(timeline.until_next_event(event), event.what, event.promise) for event in timeline.events]


def _row(timeline: Timeline, event: str, promise: str) -> dict[str, str]:
    over = all(outage.closed for outage in timeline.outages)
    flags = sorted({sample.flags for sample in timeline.lost if sample.flags})
    return {
        "event": event,
        "client": timeline.client,
        "outage ms": f"{timeline.outage_ms:.0f}" + ("" if over else ", not over"),
        "lost of sent": f"{len(timeline.lost)} of {timeline.sent}",
        "slowest ms": f"{timeline.slowest_ms:.0f}",
        "flags": " ".join(flags) or "-",
        "promise": promise,
    }


def _flagged(samples: Sequence[Sample]) -> dict[str, int]:
    return dict(Counter(sample.flags or "no line" for sample in samples))


def _mark(timeline: Timeline, samples: Sequence[Sample]) -> str:
    if not samples:
        return " "
    lost = sum(not timeline.served(sample) for sample in samples)
    if lost:
        return "x" if lost == len(samples) else "~"
    return "s" if any(sample.ms > SLOW for sample in samples) else "."
