"""Load beside a test's act: bounded, reported, and never taken for proof when it ended too soon."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import observations, record_replay
from harness.cluster_call_records import FILE, SCHEMA, Recorder, Records
from harness.errors import Inconclusive, SetupFailed
from harness.http_exchange import Answer, Request, get
from harness.load import background_load, sources
from harness.load.background_load import TABLE, while_load_runs
from harness.load.sources import IngressLoad
from harness.load.timeline import Sample
from tests.fakes.clock import Clock
from tests.patience import SOON


@dataclass
class Source:
    """Tells of a request each tenth of a second, those from `broken` on lost. Between the first and the second there is
    time for the act, however long it takes to begin."""

    client: str = "a client"
    proxy: Any = None
    accepted_statuses: Sequence[int] = (200,)
    broken: int = 10**6
    lasting: float = 60.0
    late: float = 0.0
    gap: float = SOON

    def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
        at = time.time()
        begun()
        assert stop.wait(SOON)
        return [
            Sample(at + self.late + (self.gap if n else 0) + n / 10, 1, 200 if n < self.broken else None)
            for n in range(int(self.lasting * 10))
        ]


class Away:
    """A proxy that nobody reaches."""

    gateway = "waypoint"

    def read_access_log(self, since: datetime) -> None:
        raise SetupFailed("no ready proxy pod")


def attached() -> set[str]:
    return {one.name for one in observations.page().attachments}


@pytest.fixture(autouse=True)
def at_once(own_world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_load, "pause", lambda seconds, why: None)


def test_timelines_are_reported() -> None:
    with while_load_runs(Source(), Source(client="another", broken=20)) as flow:
        time.sleep(0.01)
        with flow.event("ztunnel killed", "nothing"):
            pass

    assert [t.client for t in flow.timelines] == ["a client", "another"]
    assert [r["lost of sent"] for r in observations.tables()[TABLE]] == ["0 of 599", "580 of 599"]
    assert {r["event"] for r in observations.tables()[TABLE]} == {"ztunnel killed"}
    assert {r["promise"] for r in observations.tables()[TABLE]} == {"nothing"}
    assert [f.of for f in observations.page().figures] == ["a client", "another"]
    assert {a.name for a in observations.page().attachments} == {"timelines.txt", "timelines.json"}


def test_recorded_load_is_replayed(tmp_path: Path) -> None:
    """Its timelines and what was done meanwhile are those of the run; no request is sent, and what a source asks while
    it runs does not keep the rest of the test from being judged again."""

    class Asking(Source):
        def run(self, *args: Any) -> Sequence[Sample]:
            record_replay.monotonic("load")
            record_replay.not_recorded("a steady load")
            return super().run(*args)

    recorder = Recorder((tmp_path / FILE).open("wb", buffering=0), str, pytest.fail)
    recorder.head({"schema": SCHEMA, "settings": {}})
    with (
        record_replay.use_tape(recorder),
        recorder.scope("test a"),
        while_load_runs(Asking(broken=20)) as first,
        first.event("ztunnel killed"),
    ):
        at = record_replay.monotonic("act")

    records = Records(tmp_path)
    with (
        record_replay.use_tape(records),
        records.scope("test a"),
        while_load_runs(Unused()) as again,
        again.event("ztunnel killed"),
    ):
        assert record_replay.monotonic("act") == at

    assert again.timeline == first.timeline
    assert len(again.timeline.lost) == 580


class Unused(Source):
    """A source that is not to run."""

    def run(self, *_: Any) -> Sequence[Sample]:
        raise AssertionError


def test_load_that_ended_before_the_act_proves_nothing() -> None:
    message = "ended before these events did: ztunnel killed"
    with (
        pytest.raises(Inconclusive, match=message),
        while_load_runs(Source(lasting=0.2, gap=0)) as flow,
        flow.event("ztunnel killed"),
    ):
        pass
    assert attached() == {"timelines.txt", "timelines.json"}


def test_load_that_was_over_before_the_last_event_began() -> None:
    """Nothing was sent since that event: what is reported is why nothing is judged, and what the load saw is there."""
    with (  # noqa: PT012  # the act is what counts
        pytest.raises(Inconclusive, match=r"ended before these events did: .*helm upgrade back"),
        while_load_runs(Source(lasting=0.2, gap=0)) as flow,
    ):
        time.sleep(0.3)
        with flow.event("helm upgrade"), flow.event("helm upgrade back"):
            pass

    assert attached() == {"timelines.txt", "timelines.json"}
    assert TABLE not in observations.tables()


def test_act_before_the_load_proves_nothing() -> None:
    """Nobody knows then how the flow was when all was well."""
    message = "had not begun before these events: ztunnel killed"
    with (
        pytest.raises(Inconclusive, match=message),
        while_load_runs(Source(late=SOON)) as flow,
        flow.event("ztunnel killed"),
    ):
        pass


def test_loss_before_the_act_is_not_its_doing() -> None:
    """Planted: the first request is lost, before anything is done."""
    message = "before the first event"
    with pytest.raises(Inconclusive, match=message), while_load_runs(Source(broken=0)) as flow, flow.event("killed"):
        pass


def test_who_asks_for_a_timeline_has_a_witness() -> None:
    """Two tests of one event: each has seen it."""
    with while_load_runs(Source()) as flow:
        pass

    assert observations.page().witnesses == []
    assert flow.timelines[0].sent == 600
    assert observations.page().witnesses == ["a client"]


def test_source_that_cannot_tell_is_not_taken_for_a_quiet_one() -> None:
    class Broken(Source):
        def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
            begun()
            raise Inconclusive("fortio did not end its run")

    with pytest.raises(Inconclusive, match="did not end"), while_load_runs(Broken()):
        pass


@pytest.mark.parametrize("error", [AssertionError("the act"), KeyboardInterrupt("the act")])
def test_failing_act_is_what_is_raised(error: BaseException) -> None:
    """And what the load saw of it is kept, by all that can tell of it."""

    class Mute(Source):
        def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
            super().run(id, begun, stop)
            raise Inconclusive("fortio did not end its run")

    sources = Mute(client="mute"), Source(broken=20), Source(client="another", proxy=Away())
    with pytest.raises(type(error), match="the act"), while_load_runs(*sources) as flow, flow.event("ztunnel killed"):
        raise error

    assert [one.client for one in flow.recorded_timelines] == ["a client", "another"]
    assert attached() == {"timelines.txt", "timelines.json"}
    assert "ztunnel killed" in observations.page().attachments[0].text


def test_proxy_that_is_gone_hides_no_loss() -> None:
    """What was lost tells, without the log of whoever lost it. Where nothing was lost nobody knows who served it."""
    with while_load_runs(Source(broken=20, proxy=Away())) as flow:
        time.sleep(0.01)
        with flow.event("killed"):
            pass
    assert len(flow.timeline.lost) == 580

    with pytest.raises(SetupFailed, match="no ready proxy pod"), while_load_runs(Source(proxy=Away())):
        pass


def test_source_that_fails_does_not_take_the_others_along() -> None:
    """Nothing is judged; what the others saw is kept."""

    class Broken(Source):
        def run(self, id: str, begun: Callable[[], None], stop: threading.Event) -> Sequence[Sample]:
            begun()
            raise Inconclusive("fortio did not end its run")

    with pytest.raises(Inconclusive, match="did not end"), while_load_runs(Source(), Broken()):
        pass

    assert attached() == {"timelines.txt", "timelines.json"}


def test_outside_keeps_its_pace(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Ten requests a second, whatever each takes; a request without an answer is a loss."""
    waited: list[float] = []
    monkeypatch.setattr(sources, "pause", lambda seconds, why: (waited.append(seconds), clock.sleep(seconds)))

    class Ingress:
        @contextmanager
        def steady_sender(self) -> Iterator[Callable[[Request], Answer]]:
            yield self.send

        def send(self, request: Request) -> Answer:
            assert request.headers["user-agent"] == "e2e/load-7"
            record_replay.not_recorded("a request of a load")
            return Answer("rq", None, {}, 3.0, error="ConnectError")

    stop, counter, lost = threading.Event(), itertools.count(1), list[str]()
    monkeypatch.setattr(record_replay, "_tape", SimpleNamespace(not_recorded=lost.append))
    found = IngressLoad(Ingress(), get("/productpage")).run(  # type: ignore[arg-type]  # a stand-in
        "load-7", lambda: stop.set() if next(counter) == 20 else None, stop
    )

    assert lost == []
    assert len(found) == 20
    assert {sample.status for sample in found} == {None}
    assert sum(waited) == pytest.approx(1.9)
