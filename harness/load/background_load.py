"""Runs background load during a test; each source of requests produces a timeline.

It begins before the act and ends after it, however long that takes, bounded in count and time. What is done meanwhile
is recorded by `with flow.event("…")`. Every timeline is attached, its picture and its requests, also when the act
failed or nothing can be judged: then they are wanted most. Judged ones are reported: the longest outage as a figure, a
row for each event in the table of outage windows. What was lost before anything was done was lost by something else:
nothing is judged then.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

from harness import observations, record_replay, timeouts
from harness.components import Envoy
from harness.errors import Inconclusive, NotReady, SetupFailed
from harness.http_exchange import unique_name
from harness.kube import ApiUnavailable
from harness.load.sources import LoadSource
from harness.load.timeline import Event, Sample, Timeline, join_flags, measure_offset
from harness.load.timeline_text import event_rows, flags_line, headline, timeline_as_text
from harness.logs.envoy_access import AccessLine
from harness.wait import pause, until

TABLE = "outage windows"
LEAD, TAIL = 1.5, 2.0  # seconds of flow before the act, and after it


class BackgroundLoad:
    """Load that runs. `timelines` are there, in the order of the sources, once it has ended."""

    def __init__(self) -> None:
        self.recorded_timelines: tuple[Timeline, ...] = ()
        self.id = unique_name("load")
        self.events: list[Event] = []
        self._lock = threading.Lock()

    @contextmanager
    def event(self, what: str, promise: str = "") -> Iterator[None]:
        """What the block does, under that name, and what is promised of it; also when it fails."""
        began = time.time()
        try:
            yield
        finally:
            with self._lock:
                self.events.append(Event(what, began, time.time(), promise))

    @property
    def timelines(self) -> tuple[Timeline, ...]:
        """All of them. Who asks has them for a witness: several tests may judge one event."""
        for timeline in self.recorded_timelines:
            observations.record_sighting(timeline.client, headline(timeline))
            if timeline.proxy:
                observations.record_sighting(f"{timeline.proxy} access log", flags_line(timeline))
        return self.recorded_timelines

    @property
    def text(self) -> str:
        """All timelines as pictures: what a broken promise looks like."""
        return "\n".join(timeline_as_text(one) for one in self.recorded_timelines)

    @property
    def timeline(self) -> Timeline:
        """The only one."""
        (one,) = self.timelines
        return one


@contextmanager
def while_load_runs(*sources: LoadSource) -> Iterator[BackgroundLoad]:
    """Runs all sources beside the block, from LEAD seconds before it to TAIL seconds after it.

    Flags of the access log of a source's `through` are joined to its requests.

    Raises:
        Inconclusive: a source could not tell of its requests, the load was not there before the act or after it, or
            something was lost before anything was done.
    """
    flow, since = BackgroundLoad(), record_replay.node_time()
    with observations.probing():  # no witness: a cause is looked for from here on
        observations.record_sighting("load", f"begins: {', '.join(source.client for source in sources)}")
    running: list[Future[Sequence[Sample]]] = []
    try:
        if record_replay.is_replaying():
            yield flow
        else:
            with _while_sources_run(flow, sources, running):
                yield flow
        flow.recorded_timelines = _end_load(
            [source.client for source in sources],
            lambda: tuple(
                _with_flags(_timeline(flow, source, ran), source.proxy, f"{flow.id}-{n}", since)
                for n, (source, ran) in enumerate(zip(sources, running, strict=True))
            ),
        )
    except BaseException as error:
        _save(flow, sources, running, since if isinstance(error, Exception) else None)
        raise
    _attach(flow)
    _fit_to_judge(flow.recorded_timelines)
    _report(flow)


@contextmanager
def _while_sources_run(
    flow: BackgroundLoad, sources: Sequence[LoadSource], running: list[Future[Sequence[Sample]]]
) -> Iterator[None]:
    stop, begun = threading.Event(), [threading.Event() for _ in sources]
    with ThreadPoolExecutor(max_workers=len(sources)) as pool:
        for n, source in enumerate(sources):
            run = partial(source.run, f"{flow.id}-{n}", begun[n].set, stop)
            running.append(pool.submit(record_replay.act_for_recorded_call, run))
        try:
            if not all(one.wait(timeouts.LOAD_BEGIN) for one in begun):
                raise Inconclusive(f"no load after {timeouts.LOAD_BEGIN:g} s: {_why(sources, running)}")
            pause(LEAD, why="load before the act")
            yield
            pause(TAIL, why="load after the act")
        finally:
            stop.set()


def _as_json(timelines: Sequence[Timeline]) -> list[dict[str, Any]]:
    return [asdict(one) | {"wanted": sorted(one.wanted)} for one in timelines]


def _from_json(recorded: Sequence[Mapping[str, Any]]) -> tuple[Timeline, ...]:
    return tuple(
        Timeline(
            one["client"],
            tuple(Sample(**sample) for sample in one["samples"]),
            tuple(Event(**event) for event in one["events"]),
            frozenset(one["wanted"]),
            one["proxy"],
        )
        for one in recorded
    )


@record_replay.recorded("background load", pack=_as_json, unpack=_from_json)
def _end_load(clients: Sequence[str], read: Callable[[], tuple[Timeline, ...]]) -> tuple[Timeline, ...]:  # noqa: ARG001  # they name the call
    return read()


def _timeline(flow: BackgroundLoad, source: LoadSource, ran: Future[Sequence[Sample]]) -> Timeline:
    return Timeline.of(
        source.client, ran.result(), sorted(flow.events, key=lambda e: e.began), source.accepted_statuses
    )


def _save(
    flow: BackgroundLoad,
    sources: Sequence[LoadSource],
    running: Sequence[Future[Sequence[Sample]]],
    since: datetime | None,
) -> None:
    """Attaches what there is: what the load saw of an act that failed is evidence. No error here hides that failure.
    `since` is None when there is no time to wait for proxies' logs."""
    flow.recorded_timelines = ()
    for n, (source, ran) in enumerate(zip(sources, running, strict=False)):
        with suppress(Exception):
            bare = _timeline(flow, source, ran)
            flow.recorded_timelines += (bare,)
            if since:
                flow.recorded_timelines = (
                    *flow.recorded_timelines[:-1],
                    _with_flags(bare, source.proxy, f"{flow.id}-{n}", since),
                )
    with suppress(Exception):
        _attach(flow)


def _fit_to_judge(timelines: Sequence[Timeline]) -> None:
    for timeline in timelines:
        events = timeline.events
        early = [e.what for e in events if timeline.samples[0].at >= e.began]
        if early:
            raise Inconclusive(f"the load had not begun before these events: {', '.join(early)}")
        late = [e.what for e in events if timeline.samples[-1].at < e.ended + TAIL / 2]
        if late:
            raise Inconclusive(f"the load ended before these events did: {', '.join(late)}")
        if events and timeline.before().lost:
            raise Inconclusive(f"requests were lost before the first event: {headline(timeline)}")


def _why(sources: Sequence[LoadSource], running: Sequence[Future[Sequence[Sample]]]) -> str:
    failed = [f"{s.client}: {f.exception()}" for s, f in zip(sources, running, strict=True) if f.done()]
    return "; ".join(failed) or "no request was sent yet"


def _with_flags(timeline: Timeline, envoy: Envoy | None, id: str, since: datetime) -> Timeline:
    """The timeline with the flags of Envoy's log, which is written a moment later: each answer's line is awaited, and
    where one never comes, those that came are returned."""
    if envoy is None:
        return timeline
    joined, lines = timeline, list[AccessLine]()

    def look() -> int:
        nonlocal joined, lines
        lines = [line for line in envoy.read_access_log(since).lines if line.user_agent == f"e2e/{id}"]
        joined = join_flags(timeline, lines, envoy.gateway)
        return sum(sample.status is not None and not sample.flags for sample in joined.samples)

    # A proxy that is gone when the load ends has no log to read: the lost requests show it all the same.
    gone = (SetupFailed, Inconclusive) if timeline.lost else ()
    with suppress(NotReady, *gone):
        until(
            look,
            lambda lacking: lacking == 0,
            what=f"access lines of the load at Gateway {envoy.gateway}",
            within=timeouts.LOAD_LINES,
            transient=(ApiUnavailable,),
            show=lambda lacking: f"{lacking} answers without one",
        )
    offset = measure_offset(timeline, lines)
    if offset and offset.is_measurable:
        observations.record_sighting(f"{envoy.gateway} access log", f"its clock is ahead of the client's by {offset}")
    return replace(joined, proxy=envoy.gateway)


def _report(flow: BackgroundLoad) -> None:
    for timeline in flow.recorded_timelines:
        for event in timeline.events:
            observations.record_seconds(
                f"longest outage: {event.what}", timeline.until_next_event(event).outage_ms / 1000, of=timeline.client
            )
        for cells in event_rows(timeline):
            observations.add_row(TABLE, cells)


def _attach(flow: BackgroundLoad) -> None:
    if not flow.recorded_timelines:
        return
    observations.attach("timelines.txt", flow.text)
    observations.attach("timelines.json", json.dumps(_as_json(flow.recorded_timelines)))
