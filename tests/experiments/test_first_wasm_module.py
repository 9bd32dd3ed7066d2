"""A proxy and its first Wasm module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.errors import CannotJudge, SetupFailed
from harness.experiments.first_wasm_module import load_first_module
from harness.http_exchange import Answer, Request


class World:
    """A place whose Envoy ends of the module, and is back a look later."""

    name, gateway, version = "waypoint", "waypoint", "1.38.3"

    def __init__(self, *, ends: bool, runtime: bool = True) -> None:
        self.has_wasm_runtime = lambda: runtime
        self.envoy, self.namespace, self._ends = self, "default", ends
        self.applied, self.looks, self.restarts = False, 0, 0

    @contextmanager
    def applying(self, manifest: str) -> Iterator[None]:
        self.applied, self.restarts = True, self.restarts + self._ends
        yield
        self.applied = False

    @property
    def pods(self) -> list[str]:
        self.looks += 1
        if self._ends and self.looks == 1:
            raise SetupFailed("Gateway default/waypoint has 0 ready proxy pods")
        return ["wp-1"]

    def send_one(self, request: Request) -> Answer:
        return Answer("rq", 418 if self.applied else 200, {}, 1)

    def list_objects(self, kind: str, namespace: str, *, labels: str) -> list[dict[str, Any]]:
        ended = {"terminated": {"exitCode": 139}} if self.restarts else {}
        envoy = {"name": "envoy", "restartCount": self.restarts, "lastState": ended}
        other = {"name": "shutdown-manager", "restartCount": 3}
        return [{"metadata": {"name": "wp-1", "namespace": namespace}, "status": {"containerStatuses": [envoy, other]}}]


@pytest.mark.parametrize(("ends", "exits"), [(True, [139]), (False, [])])
def test_exit_codes_of_envoy_are_listed(ends: bool, exits: list[int]) -> None:
    """Those of other containers are none, and a proxy that is away for a moment is awaited."""
    world = World(ends=ends)

    found = load_first_module(world, [world], world.applying, "a.yaml", lambda _: Request("/"), 418)  # type: ignore[arg-type, list-item]  # stand-ins

    assert found.exits == {"waypoint": exits}
    assert not world.applied


def test_envoy_without_a_runtime_judges_nothing() -> None:
    """It would reject the module, and no policy shows that."""
    world = World(ends=False, runtime=False)

    with pytest.raises(CannotJudge, match=r"Envoy 1\.38\.3 of waypoint is built without a Wasm runtime"):
        load_first_module(world, [world], world.applying, "a.yaml", lambda _: Request("/"), 418)  # type: ignore[arg-type, list-item]  # stand-ins
    assert not world.restarts
