"""Sends the same requests before a policy is applied, while it applies, and after its removal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness import observations, record_replay, timeouts
from harness.errors import Inconclusive
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Answer, Request
from harness.kube import ApiUnavailable, Kube
from harness.objects.conditions import conditions
from harness.wait import pause, until
from harness.waits.status import wait_for_condition

EVERY = 0.2  # seconds between two looks: how exact the times are


@dataclass(frozen=True, slots=True)
class Trial:
    """Three arms of the same requests."""

    control: Arm
    treatment: Arm
    recovery: Arm

    @property
    def past(self) -> list[list[int | None]]:
        """The statuses of the requests past the proxy, by arm."""
        return [arm.past.statuses for arm in (self.control, self.treatment, self.recovery)]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Three arms of the same requests: before what is ignored, and twice under it. `silent` are those of its objects
    whose status has no condition at all."""

    arms: tuple[Arm, ...]
    silent: list[str]


class Tries:
    """Applies manifests, waits until the data plane shows their effect, and sends."""

    def __init__(self, kube: Kube, applying: Callable[..., AbstractContextManager[Any]]) -> None:
        self._kube, self._applying = kube, applying

    def policy(
        self,
        place: Place,
        manifest: str,
        named: str,
        requests: Sequence[Request],
        shown: int | Callable[[Answer], bool],
        *,
        probe: Request | None = None,
        condition: str = "Accepted",
        about: str = "",
        within: float = timeouts.XDS_PROPAGATION,
    ) -> Trial:
        """Tries `manifest`, whose object `named` gets `condition` at this place (`about`: at this part of it). It is in
        force when `shown` (a status, or more) holds for the answer to `probe` (the first request unless given), which
        may take `within` seconds, and gone when that has the status of before and `shown` does not hold.

        Raises:
            Inconclusive: `shown` holds before anything was applied.
            NotReady: it did not come in force, or did not go, in time.
        """
        asked = probe or requests[0]
        shows = (lambda answer: answer.status == shown) if isinstance(shown, int) else shown
        with observations.probing():
            before = place.send_one(asked)

        def gone() -> bool:
            answer = place.send_one(asked)
            return answer.status == before.status and not shows(answer)

        return self.configured(
            place,
            manifest,
            named,
            lambda: place.send(requests),
            lambda: shows(place.send_one(asked)),
            gone,
            condition=condition,
            about=about,
            within=within,
        )

    def configured(
        self,
        place: Place,
        manifest: str,
        named: str,
        send: Callable[[], Arm],
        there: Callable[[], bool],
        gone: Callable[[], bool] | None = None,
        condition: str = "Accepted",
        about: str = "",
        within: float = timeouts.XDS_PROPAGATION,
    ) -> Trial:
        """The same with an arm that `send` makes, where requests do not show what is in force: `there` asks for it, and
        `gone` (or not `there`) for its absence.

        Raises:
            as `policy`.
        """
        if self._probed(there):
            raise Inconclusive(f"{named} is in force at the {place.name} before {manifest} was applied")
        control = send()
        started = record_replay.monotonic()
        with self._applying(manifest):
            self._accepted(named, condition, about=about or f"Gateway/{place.envoy.namespace}/{place.gateway}")
            accepted = record_replay.monotonic() - started
            self._until(there, f"{named} is in force at the {place.name}", within)
            enforced = record_replay.monotonic() - started
            treatment = send()
            removing = record_replay.monotonic()
        self._until(gone or (lambda: not there()), f"{named} is no longer in force at the {place.name}")
        removed = record_replay.monotonic() - removing
        recovery = send()
        observations.record_seconds(f"applied to {condition}", accepted, of=named)
        observations.record_seconds("applied to enforced", enforced, of=place.gateway)
        observations.record_seconds("removed to enforced", removed, of=place.gateway)
        return Trial(control, treatment, recovery)

    def ignored(
        self, place: Place, manifest: str, requests: Sequence[Request], named: Mapping[str, Sequence[str]]
    ) -> Ignored:
        """Arms before `manifest` is applied, then while it is: once its objects have the condition types that `named`
        has for each, and timeouts.SILENCE later, when their whole statuses are read.

        Raises:
            NotReady: a condition did not come.
        """
        control = place.send(requests)
        with self._applying(manifest):
            for name, types in named.items():
                for type in types:
                    self._accepted(name, type)
            at_once = place.send(requests)
            pause(timeouts.SILENCE, why=f"{manifest} has time to take effect")
            later = place.send(requests)
            silent = [name for name in named if not conditions(self._kube.get(name))]
        for name in silent:
            observations.record_sighting(f"status of {name}", "no condition")
        return Ignored((control, at_once, later), silent)

    def _accepted(self, named: str, type: str, about: str | None = None) -> None:
        result = wait_for_condition(self._kube, named, type, about=about)
        observations.record_sighting(f"status of {named}", result.text)

    def _probed(self, there: Callable[[], bool]) -> bool:
        with observations.probing():
            return there()

    def _until(self, holds: Callable[[], bool], what: str, within: float = timeouts.XDS_PROPAGATION) -> None:
        until(
            holds,
            bool,
            what=what,
            within=within,
            every=EVERY,
            transient=(ApiUnavailable, Inconclusive),
        )
