"""The timeline of a flow of requests: results by time, outages, and events. Pure.

Times are epoch seconds of the machine that sent. A window's length is known to the flow's own interval only: between
two requests nothing was observed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import Inconclusive
from harness.evidence.clock_offset import ClockOffset, of_moments
from harness.logs.envoy_access import AccessLine

NEAR = 1.0  # seconds around an event in which an outage still coincides with it: effects come after their cause
INF = math.inf
ENOUGH = 10  # requests by which two clocks are compared: of fewer, each may have another's line
APART = 0.1  # seconds that a proxy's line of a request may lie beside the client's, once their clocks are compared


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: begun `at`, over `ms` later. `status` is None when no HTTP answer came. `flags` are the proxy's
    (Envoy's response flags, "-" for none) and empty where no line of its log was joined; `pod` is then the proxy's."""

    at: float
    ms: float
    status: int | None
    connection: int = 0
    flags: str = ""
    pod: str = ""

    @property
    def over(self) -> float:
        return self.at + self.ms / 1000


@dataclass(frozen=True, slots=True)
class Event:
    """What was done from `began` to `ended`, and what is promised of it."""

    what: str
    began: float
    ended: float
    promise: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """From the first lost request's start to the start of the next one that was served; `closed` is False when none
    was served any more: it then lasts to the end of what was seen."""

    began: float
    ended: float
    lost: int
    closed: bool

    @property
    def ms(self) -> float:
        return (self.ended - self.began) * 1000


@dataclass(frozen=True, slots=True)
class Timeline:
    """All requests of one client in the order begun. What counts as served is `served`: by default status 200.
    `proxy` is the Gateway whose access log was joined, if one was."""

    client: str
    samples: tuple[Sample, ...]
    events: tuple[Event, ...] = ()
    wanted: frozenset[int] = frozenset({200})
    proxy: str = ""

    @classmethod
    def of(
        cls, client: str, samples: Sequence[Sample], events: Sequence[Event] = (), wanted: Sequence[int] = (200,)
    ) -> Timeline:
        """Raises Inconclusive without a sample: a flow of nothing lost nothing."""
        if not samples:
            raise Inconclusive(f"{client} sent nothing: there is no timeline")
        return cls(client, tuple(sorted(samples, key=lambda s: s.at)), tuple(events), frozenset(wanted))

    def served(self, sample: Sample) -> bool:
        return sample.status in self.wanted

    @property
    def sent(self) -> int:
        return len(self.samples)

    @property
    def lost(self) -> tuple[Sample, ...]:
        return tuple(s for s in self.samples if not self.served(s))

    @property
    def flags(self) -> set[str]:
        """What the proxy's log says of those that were served; "" stands for one that it has no line of."""
        return {s.flags for s in self.samples if self.served(s)}

    @property
    def statuses(self) -> dict[str, int]:
        """How often each status came; "none" is no answer."""
        return dict(Counter("none" if s.status is None else str(s.status) for s in self.samples))

    @property
    def slowest_ms(self) -> float:
        """Of all that were answered, however."""
        return max((s.ms for s in self.samples if s.status is not None), default=0.0)

    @property
    def outages(self) -> tuple[Outage, ...]:
        """Every run of losses, in order."""
        found, run = [], list[Sample]()
        for sample in self.samples:
            if not self.served(sample):
                run.append(sample)
            elif run:
                found.append(Outage(run[0].at, sample.at, len(run), closed=True))
                run = []
        if run:
            found.append(Outage(run[0].at, max(s.over for s in run), len(run), closed=False))
        return tuple(found)

    @property
    def outage_ms(self) -> float:
        """The longest outage; 0 when nothing was lost."""
        return max((outage.ms for outage in self.outages), default=0.0)

    def between(self, began: float, ended: float) -> Timeline:
        """The requests begun in that time.

        Raises:
            Inconclusive: there is none: nothing is known of that time.
        """
        kept = tuple(s for s in self.samples if began <= s.at < ended)
        if not kept:
            raise Inconclusive(
                f"{self.client} sent nothing in the {ended - began:.1f} s asked for: this period is unknown"
            )
        return replace(self, samples=kept)

    def during(self, event: str) -> Timeline:
        """The requests begun while that was done."""
        found = self._event(event)
        return self.between(found.began, found.ended)

    def until_next_event(self, event: Event) -> Timeline:
        """The requests begun from its beginning to the beginning of whatever was done after it."""
        return self.between(event.began, min((e.began for e in self.events if e.began >= event.ended), default=INF))

    def seconds_to_recover(self, event: str) -> float:
        """Seconds from that event's end until the last outage that began before or after it was over; 0 when all was
        served by then; without end when it is not over."""
        done = self._event(event)
        late = [outage for outage in self.outages if outage.ended > done.ended or not outage.closed]
        if any(not outage.closed for outage in late):
            return INF
        return max((outage.ended - done.ended for outage in late), default=0.0)

    def after(self, event: str, *, settle: float = 0.0) -> Timeline:
        """The requests begun `settle` seconds after that was done, or later."""
        return self.between(self._event(event).ended + settle, INF)

    def before(self) -> Timeline:
        """The requests begun before anything was done."""
        return self.between(-INF, min(e.began for e in self.events))

    def describe_cause(self, outage: Outage) -> str:
        """What was being done when it began, or had been done just before; "nothing known" without such."""
        near = [e.what for e in self.events if e.began - APART <= outage.began <= e.ended + NEAR]
        return ", ".join(near) or "nothing known"

    def _event(self, what: str) -> Event:
        for event in self.events:
            if event.what == what:
                return event
        raise Inconclusive(f"nothing was done that is called {what!r}; known: {[e.what for e in self.events]}")


def measure_offset(timeline: Timeline, lines: Sequence[AccessLine]) -> ClockOffset | None:
    """How far the proxy's clock is ahead of the client's. The requests before the first event were all answered, so the
    first lines are theirs, in the same order. None where that does not fit: no such request, or too few lines."""
    first = min((event.began for event in timeline.events), default=INF)
    early = [sample for sample in timeline.samples if sample.over < first and sample.status is not None]
    begun = sorted(line.start_time.timestamp() for line in lines)[: len(early)]
    if len(early) < ENOUGH or len(begun) < len(early):
        return None
    return of_moments(zip(begun, (s.at for s in early), (s.over for s in early), strict=True), slack=APART)


def join_flags(timeline: Timeline, lines: Sequence[AccessLine], pod: str) -> Timeline:
    """The timeline with the proxy's flags, by time and status: each line is given to the earliest sample of its
    status that was under way when the line began, by the client's clock. A sample without a line never reached that
    proxy (or its log)."""
    left = sorted(lines, key=lambda line: line.start_time)
    offset = measure_offset(timeline, lines)
    ahead = offset.middle if offset and offset.is_measurable else 0.0
    joined = []
    for sample in timeline.samples:
        match = next((line for line in left if _fits(sample, line, ahead)), None)
        if match is not None:
            left.remove(match)
            sample = replace(sample, flags=match.flags, pod=pod)  # the sample, with more known about it
        joined.append(sample)
    return replace(timeline, samples=tuple(joined))


def _fits(sample: Sample, line: AccessLine, ahead: float) -> bool:
    # A client that gave up has no status; the proxy then wrote one of its own, or 0.
    same = sample.status == line.status if sample.status is not None else line.flags != "-"
    return same and sample.at - APART <= line.start_time.timestamp() - ahead <= sample.over + APART
