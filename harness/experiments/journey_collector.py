"""Collects the log lines for journeys: access logs of both proxies, ztunnel lines, owners of IPs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from harness import observations, timeouts
from harness.components import Envoy, Ztunnels
from harness.errors import Inconclusive, NotReady
from harness.evidence import hbone_port_conflict
from harness.evidence.hops import Journey, Via
from harness.evidence.journey import join_journey, journey_as_text, pods_by_ip
from harness.http_exchange import Answer, Answers
from harness.kube import ApiUnavailable, Kube, ObjectMissing
from harness.logs import envoy_access, ztunnel
from harness.logs.envoy_access import AccessLine
from harness.logs.unreadable import NONE_UNREADABLE, UnreadableLines
from harness.logs.ztunnel import ZtunnelLine
from harness.objects.unstructured import Json, text
from harness.objects.workloads import pod_name
from harness.outcome import WORST_FIRST, Outcome
from harness.wait import until

WHOLE: tuple[Via, ...] = ("ingress", "waypoint")
REVIEWS_V1 = "reviews-v1"  # does not call ratings: a page of it never reaches the waypoint
# Lines of a connection may lie this far outside of the request they carried, and still belong to it.
_MARGIN = timedelta(seconds=1)
_SHOWN = 3  # pictures of incomplete journeys in a message


@dataclass(frozen=True, slots=True)
class HopRecords:
    """All that was written at one time, of everybody."""

    ingress: tuple[AccessLine, ...]
    waypoint: tuple[AccessLine, ...]
    ztunnel: tuple[ZtunnelLine, ...]
    pods: tuple[Json, ...]
    conflict: str = ""
    unreadable: UnreadableLines = NONE_UNREADABLE


class JourneyCollector:
    """Follows requests. Without an ingress only calls inside the mesh are followed."""

    def __init__(self, kube: Kube, ztunnels: Ztunnels, ingress: Envoy | None, waypoint: Envoy | None) -> None:
        self._kube, self._ztunnels, self._ingress, self._waypoint = kube, ztunnels, ingress, waypoint

    def wait_for_journeys(
        self,
        answers: Answers,
        since: datetime,
        *,
        via: Callable[[Answer], Sequence[Via]] = lambda _: WHOLE,
        within: float = timeouts.JOURNEY,
    ) -> tuple[Journey, ...]:
        """The journey of each answer, in their order, once no hop is missing; ztunnel writes a line when a connection
        closes, up to 30 s after its last request. Each is attached to the result as a picture.

        Raises:
            Inconclusive: a hop stayed missing or ambiguous, also among the connections that are open at the end; the
            message shows what was found.
            Terminal: Envoy has port 15008 of a waypoint's pod: no such journey can be complete.
        """
        if not answers:
            raise Inconclusive("no answers: no journeys to follow")
        last: list[tuple[Journey, ...]] = []
        unreadable = UnreadableLines()

        def look() -> tuple[tuple[Journey, ...], str]:
            nonlocal unreadable
            scene = self.read_records(since)
            unreadable = scene.unreadable
            last.append(join_journeys(scene, answers, via))
            return last[-1], scene.conflict

        try:
            found, _ = until(
                look,
                lambda seen: all(journey.verdict.outcome != Outcome.INCONCLUSIVE for journey in seen[0]),
                what=f"the journeys of {len(answers)} requests are complete",
                within=within,
                every=0.5 if len(answers) < 50 else 3.0,
                transient=(ApiUnavailable, ObjectMissing),
                hopeless=lambda seen: seen[1] or None,
                remedy=hbone_port_conflict.REMEDY,
                show=lambda seen: f"{sum(j.verdict.outcome != Outcome.INCONCLUSIVE for j in seen[0])} of them",
            )
        except NotReady as error:
            found = last[-1] if last else ()
            with suppress(ApiUnavailable, ObjectMissing, Inconclusive):  # then what was seen before is all there is
                found = self._with_open_connections(since, answers, via)
                last.append(found)
            unclear = [j for j in found if j.verdict.outcome == Outcome.INCONCLUSIVE]
            pictures = "\n".join(journey_as_text(journey) for journey in unclear[:_SHOWN])
            last_seen = f"{len(unclear)} of {len(answers)} journeys are not complete after {error.within:g}s"
            lost = f"\n{unreadable}" if unreadable else ""
            if unclear or not found:
                raise Inconclusive(f"{last_seen}{lost}\n{pictures}") from error
        finally:
            _kept(last[-1] if last else ())
        observations.record_sighting(
            "journeys", f"{len(found)} complete, of {sum(len(j.hops) for j in found)} hops", of=answers.ids
        )
        return found

    def _with_open_connections(
        self, since: datetime, answers: Answers, via: Callable[[Answer], Sequence[Via]]
    ) -> tuple[Journey, ...]:
        """The journeys once more, with the connections that are open. Those are read before the logs: what closed
        earlier has its line there, so a connection without one is among them."""
        standing = self._ztunnels.read_open_connections()
        scene = self.read_records(since)
        lines = sorted((*scene.ztunnel, *standing), key=lambda line: line.opened)
        return join_journeys(replace(scene, ztunnel=tuple(lines)), answers, via)

    def read_records(self, since: datetime) -> HopRecords:
        """Everything written since then, as it is now."""
        pods = tuple(self._kube.list_objects("Pod"))
        logs = self._ztunnels.read_logs(since)
        mesh = [ztunnel.parse_ztunnel_log(one) for one in logs.values()]
        lines = [line for one in mesh for line in one.lines]
        envoys = [
            one.read_access_log(since) if one else envoy_access.ParsedAccessLog(())
            for one in (self._ingress, self._waypoint)
        ]
        ingress, waypoint = (one.lines for one in envoys)
        unreadable = (
            sum((one.unreadable for one in mesh), UnreadableLines()) + envoys[0].unreadable + envoys[1].unreadable
        )
        failures = [failure for one in logs.values() for failure in ztunnel.parse_bind_failures(one)]
        by_uid = {text(p, "metadata", "uid"): pod_name(p) for p in pods}
        conflict = hbone_port_conflict.describe_port_conflict(
            [f for f in failures if f.time >= since - timedelta(seconds=10)],
            [a for a in waypoint if a.start_time >= since],
            by_uid,
            {ip: pod.name for ip, pod in pods_by_ip(pods).items()},
        )
        return HopRecords(
            ingress, waypoint, tuple(sorted(lines, key=lambda line: line.opened)), pods, conflict, unreadable
        )


def join_journeys(scene: HopRecords, answers: Answers, via: Callable[[Answer], Sequence[Via]]) -> tuple[Journey, ...]:
    """The journey of each response as far as the records show it. Only lines near a request are looked at: a thousand
    journeys among ten thousand lines take seconds, not minutes."""
    owners = pods_by_ip(scene.pods)
    of_ingress, of_waypoint = _by_agent(scene.ingress), _by_agent(scene.waypoint)
    begun = [line.opened for line in scene.ztunnel]
    ended = [line.time for line in scene.ztunnel]
    found = []
    for answer in answers:
        agent = f"e2e/{answer.id}"
        entered, passed = of_ingress.get(agent, []), of_waypoint.get(agent, [])
        near: list[ZtunnelLine] = []
        if entered or passed:
            first = min(line.start_time for line in (*entered, *passed)) - _MARGIN
            final = max(line.end_time for line in (*entered, *passed)) + _MARGIN
            upto = bisect_left(begun, final)
            near = [scene.ztunnel[at] for at in range(upto) if ended[at] >= first]
        found.append(join_journey(answer.id, entered, passed, near, owners, via=tuple(via(answer))))
    return tuple(found)


def required_hops(answer: Answer) -> Sequence[Via]:
    """What a page must have passed, by the reviews pod that it names: v1 calls no ratings."""
    return ("ingress",) if REVIEWS_V1 in answer.body else WHOLE


def _by_agent(lines: Sequence[AccessLine]) -> dict[str, list[AccessLine]]:
    found: dict[str, list[AccessLine]] = {}
    for line in lines:
        found.setdefault(line.user_agent or "", []).append(line)
    return found


def _kept(journeys: Sequence[Journey]) -> None:
    """One picture in the failure's text; all (of a few requests) as one attachment."""
    if not journeys:
        return
    worst = sorted(journeys, key=lambda j: WORST_FIRST.index(j.verdict.outcome))
    observations.attach("journey.txt", "\n\n".join(journey_as_text(journey) for journey in worst[:20]) + "\n")
    for line in journey_as_text(worst[0]).splitlines():
        observations.record_sighting("journey", line)
