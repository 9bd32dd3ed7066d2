"""Loads the first Wasm module into a running Envoy, and checks whether Envoy crashes.

V8 takes a memory protection key when it is initialized, and threads that were there before have no access to what it
guards (denoland/rusty_v8#2054). Envoy initializes V8 with its first Wasm module: with one in its first configuration
before its workers start, else after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness import observations, timeouts
from harness.errors import CannotJudge, Inconclusive, SetupFailed
from harness.experiments.ingress_or_waypoint import Place
from harness.http_exchange import Request
from harness.kube import Kube
from harness.objects.unstructured import mapping, number, objects, text
from harness.objects.workloads import OWNING_GATEWAY, pod_name
from harness.wait import until


@dataclass(frozen=True, slots=True)
class FirstModule:
    """How proxies took it: the exit codes of Envoys that ended meanwhile, by place."""

    exits: Mapping[str, Sequence[int]]


def load_first_module(
    kube: Kube,
    places: Sequence[Place],
    applying: Callable[[str], AbstractContextManager[Any]],
    manifest: str,
    answered: Callable[[Place], Request],
    status: int,
) -> FirstModule:
    """Applies the manifest until each place returns `status`, the module's own, to a request, and takes it away again.
    An Envoy that ends of it is started again by its kubelet, with the module in its first configuration.

    Raises:
        CannotJudge: an Envoy is built without a Wasm runtime.
        NotReady: a place does not return it, or has no ready proxy afterwards, or still has the module.
    """
    for place in places:
        if not place.envoy.has_wasm_runtime():
            raise CannotJudge(f"Wasm: Envoy {place.envoy.version} of {place.gateway} is built without a Wasm runtime")
    before = {place.name: _ended(kube, place) for place in places}
    with applying(manifest), observations.probing():
        for place in places:
            _until_status(place, answered(place), status, f"{place.name} has its first Wasm module")
    with observations.probing():
        for place in places:
            _until_status(place, answered(place), 200, f"{place.name} has no Wasm module")
    after = {place.name: _ended(kube, place) for place in places}
    exits = {name: after[name][len(before[name]) :] for name in after}
    observations.record_sighting("proxy pods", f"exit codes of Envoys that ended: {exits}")
    return FirstModule(exits)


def _until_status(place: Place, request: Request, status: int, what: str) -> None:
    def seen() -> tuple[int | None, int]:
        return place.send_one(request).status, len(place.envoy.pods)

    until(
        seen,
        lambda found: found[0] == status,
        what=f"{what} ({status})",
        within=timeouts.ROLLOUT,
        transient=(Inconclusive, SetupFailed),
    )


def _ended(kube: Kube, place: Place) -> list[int]:
    """The exit code of the last end of each Envoy container of the place, as often as it was restarted."""
    pods = kube.list_objects("Pod", place.envoy.namespace, labels=f"{OWNING_GATEWAY}={place.gateway}")
    containers = [c for pod in sorted(pods, key=pod_name) for c in objects(pod, "status", "containerStatuses")]
    return [
        number(mapping(c, "lastState", "terminated"), "exitCode")
        for c in containers
        if text(c, "name") == "envoy"
        for _ in range(number(c, "restartCount"))
    ]
