"""A feature before, under and after its manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from harness import observations
from harness.errors import Inconclusive, NotReady
from harness.experiments.policy_trial import Tries
from harness.http_exchange import Answer, get
from harness.wait import set_patience

NAMED = "SecurityPolicy/default/a"
GATEWAY = {"kind": "Gateway", "name": "waypoint"}


class World:
    """A cluster with one place: what it answers while the manifest is applied, and before and after."""

    name, gateway = "waypoint", "waypoint"
    namespace = "default"
    envoy = SimpleNamespace(namespace=namespace)

    def __init__(self, under: int = 403, *, after: int = 200, late: int = 0, accepted: str = "True") -> None:
        self.applied, self.asked, self.log = False, 0, list[str]()
        self._under, self._after, self._late, self._accepted = under, after, late, accepted
        self._ever = False

    @contextmanager
    def applying(self, manifest: str) -> Iterator[None]:
        self.applied = self._ever = True
        self.log.append(f"applied {manifest}")
        yield
        self.applied, self.asked = False, 0
        self.log.append("removed")

    def get(self, name: str) -> dict[str, Any]:
        conditions = [{"type": "Accepted", "status": self._accepted, "reason": "Accepted", "message": ""}]
        status = {"ancestors": [{"ancestorRef": GATEWAY, "conditions": conditions}]} if self._accepted else {}
        return {"kind": "SecurityPolicy", "metadata": {"name": "a", "namespace": "default"}, "status": status}

    def send_one(self, request: Any) -> Answer:
        self.asked += self._ever
        late = self._ever and self.asked <= self._late
        if self.applied:
            return Answer("rq", 200 if late else self._under, {}, 1)
        return Answer("rq", self._under if late else self._after if self._ever else 200, {}, 1)

    def send(self, requests: Any, *, at_once: bool = False) -> Any:
        self.log.append(f"sent {len(requests)}: {self.send_one(requests[0]).status}")
        return self.log[-1]


def tried(world: World) -> Any:
    tries = Tries(world, world.applying)  # type: ignore[arg-type]  # a stand-in for the API
    return tries.policy(world, "a.yaml", NAMED, [get("/")] * 2, 403)  # type: ignore[arg-type]  # a stand-in for a place


@pytest.fixture
def hasty() -> Iterator[None]:
    set_patience(0.01)
    yield
    set_patience(1.0)


def test_three_arms_in_order() -> None:
    """Requests before anything is applied, once its effect shows, and once that has gone; each time is a figure."""
    world = World(late=2)

    trial = tried(world)

    assert world.log == ["sent 2: 200", "applied a.yaml", "sent 2: 403", "removed", "sent 2: 200"]
    assert (trial.control, trial.treatment, trial.recovery) == ("sent 2: 200", "sent 2: 403", "sent 2: 200")
    figures = [figure.name for figure in observations.page().figures[-3:]]
    assert figures == ["applied to Accepted", "applied to enforced", "removed to enforced"]


def test_what_is_in_force_before_is_unjudged() -> None:
    """An effect that is there before the manifest is not the manifest's."""
    world = World()
    world.applied = True

    with pytest.raises(Inconclusive, match="is in force at the waypoint before"):
        tried(world)
    assert world.log == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("world", "what"),
    [
        (World(under=200), "SecurityPolicy/default/a is in force at the waypoint"),
        (World(after=403), "SecurityPolicy/default/a is no longer in force at the waypoint"),
        (World(after=500), "SecurityPolicy/default/a is no longer in force at the waypoint"),
        (World(accepted=""), "SecurityPolicy/default/a is Accepted=True"),
    ],
)
def test_what_never_comes_or_goes_is_named(world: World, what: str) -> None:
    """A policy without a status, without an effect, or with one that stays ends the wait with its name."""
    with pytest.raises(NotReady, match=what):
        tried(world)


@pytest.mark.usefixtures("hasty")
def test_slow_policy_may_have_a_longer_bound() -> None:
    """It counts until the policy is in force, not until it is gone."""
    world = World(under=200)
    tries = Tries(world, world.applying)  # type: ignore[arg-type]  # as above

    with pytest.raises(NotReady, match=r"in force at the waypoint: not within 0\.8s"):
        tries.policy(world, "a.yaml", NAMED, [get("/")], 403, within=80)  # type: ignore[arg-type]  # as above


@pytest.mark.usefixtures("hasty")
def test_ignored_manifest_has_two_arms_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at once and one after a pause, and the objects that have no condition at all are named."""
    slept = list[float]()
    monkeypatch.setattr("harness.experiments.policy_trial.pause", lambda seconds, why: slept.append(seconds))
    world = World(under=200)

    tries = Tries(world, world.applying)  # type: ignore[arg-type]  # as above
    seen = tries.ignored(world, "a.yaml", [get("/")], {NAMED: ["Accepted"]})  # type: ignore[arg-type]  # as above
    silent = World(accepted="")
    without_status = Tries(silent, silent.applying).ignored(silent, "a.yaml", [get("/")], {NAMED: []})  # type: ignore[arg-type]  # as above

    assert world.log == ["sent 1: 200", "applied a.yaml", "sent 1: 200", "sent 1: 200", "removed"]
    assert (seen.arms, seen.silent) == (("sent 1: 200",) * 3, [])
    assert without_status.silent == [NAMED]
    assert min(slept) > 0
