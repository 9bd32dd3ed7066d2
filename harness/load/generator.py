"""Steady load beside a test's act: fortio inside the mesh, a paced client outside; each leaves its timeline.

Bounded in count and time. What is done meanwhile is told by `with flow.event("…")`, and every timeline is reported:
its longest outage as a figure, its row in the table of outage windows, its picture and its requests as attachments.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from harness import ledger, timeouts
from harness.clients.http import IngressClient
from harness.clients.mesh import LABELS, NAMESPACE
from harness.clients.proxies import Envoy
from harness.errors import SetupFailed, Unjudged
from harness.kube import Kube
from harness.load import fortio
from harness.load.picture import headline, picture, row
from harness.load.timeline import Event, Sample, Timeline, joined
from harness.traffic import Answer, Request, unique
from harness.wait import pause

TABLE = "outage windows"
CROWD, SOON = 64, 0.5  # threads of the client outside; seconds after which it does not wait for an answer
QPS, CONNECTIONS, LONGEST = 20.0, 2, 45.0  # a client's; two clients at once are what two cores bear without effect
LEAD, TAIL = 2.0, 2.0  # seconds of flow before the act, and after it


class Source(Protocol):
    """Who sends: a client with a name."""

    @property
    def client(self) -> str: ...

    @property
    def wanted(self) -> Sequence[int]:
        """The statuses that count as served."""

    @property
    def through(self) -> Envoy | None:
        """The proxy whose access log has a line of each request, if there is one that lives as long as the load."""

    def run(self, seconds: float, id: str, begun: Callable[[], None]) -> Sequence[Sample]:
        """Sends for that long, every request with `user-agent: e2e/<id>`, and tells of each; calls `begun` at the
        first."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """fortio in the mesh client pod. `keep` reuses its connections; else each request has one of its own."""

    kube: Kube
    request: Request
    keep: bool
    through: Envoy | None = None
    wanted: Sequence[int] = (200,)
    qps: float = QPS

    @property
    def client(self) -> str:
        return f"mesh client, {'kept connections' if self.keep else 'a connection each'}"

    def run(self, seconds: float, id: str, begun: Callable[[], None]) -> Sequence[Sample]:
        pods = [p for p in self.kube.pods(NAMESPACE, LABELS) if p["status"].get("podIP")]
        if not pods:
            raise SetupFailed("the mesh client has no running pod", remedy="is Deployment/default/mesh-client there?")
        argv = fortio.arguments(
            self.request, id=id, qps=self.qps, connections=CONNECTIONS, seconds=seconds, keep=self.keep
        )
        within = seconds + timeouts.LOAD_END
        ended = self.kube.run(NAMESPACE, pods[0]["metadata"]["name"], "fortio", argv, within=within, heard=begun)
        if ended.code:
            raise Unjudged(f"fortio ended with status {ended.code}: {(ended.stderr or ended.stdout).strip()[-300:]}")
        return fortio.samples(ended.stdout)


@dataclass(frozen=True, slots=True)
class Outside:
    """The ingress client, a request and a connection every tenth of a second. It needs no Kubernetes API.

    One at a time unless one takes long: productpage closes idle connections after 2 s, and of two that Envoy has to it
    one is idle: a request in that moment gets 503 (UC), whatever a test does.
    """

    ingress: IngressClient
    request: Request
    through: Envoy | None = None
    wanted: Sequence[int] = (200,)
    qps: float = 10.0

    @property
    def client(self) -> str:
        return "ingress client, a connection each"

    def run(self, seconds: float, id: str, begun: Callable[[], None]) -> Sequence[Sample]:
        asked = replace(self.request, headers={"user-agent": f"e2e/{id}", **self.request.headers})
        began, found = time.monotonic(), list[Future[Sample]]()
        # A slow answer must not delay the next request, so there are more threads than connections are needed.
        with self.ingress.steady() as send, ThreadPoolExecutor(max_workers=CROWD) as pool:
            for n in range(int(seconds * self.qps)):
                pause(max(0.0, began + n / self.qps - time.monotonic()), why="the flow's pace")
                found.append(pool.submit(_one, send, asked))
                begun()
                wait(found[-1:], timeout=SOON)
        return [one.result() for one in found]


def _one(send: Callable[[Request], Answer], request: Request) -> Sample:
    at = time.time()
    answer = send(request)
    return Sample(at, answer.ms, answer.status)


class Flow:
    """Load that runs. `timelines` are there, in the order of the sources, once it has ended."""

    def __init__(self) -> None:
        self.timelines: tuple[Timeline, ...] = ()
        self.id = unique("load")
        self.events: list[Event] = []
        self._lock = threading.Lock()

    @contextmanager
    def event(self, what: str) -> Iterator[None]:
        """What the block does, under that name; also when it fails."""
        began = time.time()
        try:
            yield
        finally:
            with self._lock:
                self.events.append(Event(what, began, time.time()))

    @property
    def story(self) -> str:
        """All timelines as pictures: what a broken promise looks like."""
        return "\n".join(picture(one) for one in self.timelines)

    @property
    def timeline(self) -> Timeline:
        """The only one."""
        (one,) = self.timelines
        return one


@contextmanager
def flowing(
    *sources: Source,
    seconds: float,
    promise: str = "",
) -> Iterator[Flow]:
    """Runs all sources for `seconds` beside the block, which begins LEAD seconds later and must end TAIL sooner.

    Flags of the access log of a source's `through` are joined to its requests. `promise` goes into the table.

    Raises:
        Unjudged: a source could not tell of its requests, or the load began after the act, or was over before it.
    """
    if seconds > LONGEST:
        raise ValueError(f"{seconds:g} s of load: at most {LONGEST:g}")
    flow, since = Flow(), datetime.now(UTC)
    with ThreadPoolExecutor(max_workers=len(sources)) as pool:
        begun = [threading.Event() for _ in sources]
        running = [pool.submit(s.run, seconds, f"{flow.id}-{n}", begun[n].set) for n, s in enumerate(sources)]
        if not all(one.wait(timeouts.LOAD_BEGIN) for one in begun):
            raise Unjudged(f"no load after {timeouts.LOAD_BEGIN:g} s: {_why(sources, running)}")
        pause(LEAD, why="load before the act")
        yield flow
        found = [one.result() for one in running]
    events = tuple(sorted(flow.events, key=lambda e: e.began))
    timelines = [
        _with_flags(Timeline.of(source.client, samples, events, source.wanted), source.through, f"{flow.id}-{n}", since)
        for n, (source, samples) in enumerate(zip(sources, found, strict=True))
    ]
    flow.timelines = tuple(timelines)
    _report(flow, promise)
    early = [e.what for e in events for t in timelines if t.samples[0].at >= e.began]
    if early:
        raise Unjudged(f"the load had not begun before this did: {', '.join(sorted(set(early)))}")
    late = [e.what for e in events for t in timelines if t.samples[-1].at < e.ended + TAIL]
    if late:
        raise Unjudged(f"the load of {seconds:g} s was over before this was: {', '.join(sorted(set(late)))}")


def _why(sources: Sequence[Source], running: Sequence[Future[Sequence[Sample]]]) -> str:
    failed = [f"{s.client}: {f.exception()}" for s, f in zip(sources, running, strict=True) if f.done()]
    return "; ".join(failed) or "nobody has sent yet"


def _with_flags(timeline: Timeline, envoy: Envoy | None, id: str, since: datetime) -> Timeline:
    if envoy is None:
        return timeline
    lines = [line for line in envoy.access_log(since) if line.user_agent == f"e2e/{id}"]
    return joined(timeline, lines, envoy.name)


def _report(flow: Flow, promise: str) -> None:
    event = "; ".join(dict.fromkeys(e.what for e in flow.events)) or "nothing"
    for timeline in flow.timelines:
        ledger.saw("load", headline(timeline))
        ledger.measured(f"longest outage: {event}", timeline.outage_ms / 1000, of=timeline.client)
        ledger.tabulate(TABLE, row(timeline, event, promise))
    ledger.attach("timelines.txt", flow.story)
    ledger.attach(
        "timelines.json", json.dumps([asdict(one) | {"wanted": sorted(one.wanted)} for one in flow.timelines])
    )
