"""Edits are undone, and what Envoy does is reported from what it was given."""

from typing import Any

import pytest

from harness.disruption import route_edits
from harness.errors import NotReady
from harness.kube import Kube
from harness.waits import envoy_config
from tests.fakes.api import FakeApi, named
from tests.fakes.clock import Clock


class Routed:
    """An Envoy that has what the API server has, or nothing new."""

    gateway, namespace = "waypoint", "default"

    def __init__(self, kube: Kube, *, stuck: bool = False) -> None:
        self._kube, self._stuck = kube, stuck

    def read_config_dumps(self) -> dict[str, Any]:
        (rule,) = self._kube.get("HTTPRoute/default/x")["spec"]["rules"]
        added = [one for f in rule.get("filters", []) for one in f["responseHeaderModifier"]["set"]]
        headers = [] if self._stuck else [{"header": {"key": one["name"], "value": one["value"]}} for one in added]
        config = {"dynamic_route_configs": [{"route_config": {"response_headers_to_add": headers}}]}
        return {"wp-1": {"configs": [config]}}


def test_route_has_its_rules_back_although_an_edit_failed(kube: Kube, api: FakeApi) -> None:
    rules = [{"backendRefs": [{"name": "x", "port": 9080}]}]
    api.put(named("HTTPRoute/default/x", spec={"rules": rules}), manager="mesh-e2e")
    api.refuse("PATCH", "httproutes/x", 422, "no", times=1)

    with pytest.raises(Exception, match="no"):
        route_edits.edit_route(kube, Routed(kube), "x", times=3)  # type: ignore[arg-type]  # a stand-in

    assert kube.get("HTTPRoute/default/x")["spec"]["rules"] == rules


def test_each_edit_is_another(kube: Kube, api: FakeApi) -> None:
    """Edits that change nothing would prove nothing."""
    api.put(named("HTTPRoute/default/x", spec={"rules": [{"backendRefs": []}]}), manager="mesh-e2e")

    route_edits.edit_route(kube, Routed(kube), "x", times=3)  # type: ignore[arg-type]  # a stand-in

    assert len({str(seen.body) for seen in api.asked("PATCH", "httproutes/x")}) == 4


def test_edit_that_never_arrives_is_reported(kube: Kube, api: FakeApi, clock: Clock) -> None:
    """Edits that Envoy never has would lose nothing, and prove nothing; the rules are given back all the same."""
    rules: list[dict[str, Any]] = [{"backendRefs": []}]
    api.put(named("HTTPRoute/default/x", spec={"rules": rules}), manager="mesh-e2e")

    with pytest.raises(NotReady, match="Envoy waypoint has edit 1 of HTTPRoute x"):
        route_edits.edit_route(kube, Routed(kube, stuck=True), "x", times=3)  # type: ignore[arg-type]  # a stand-in

    assert kube.get("HTTPRoute/default/x")["spec"]["rules"] == rules


class Envoy:
    """Its configuration, with a cluster active, warming, or neither."""

    gateway, namespace = "waypoint", "default"

    def __init__(self, **lists: str) -> None:
        self._lists = lists

    def read_config_dumps(self) -> dict[str, Any]:
        made = {name: [{"cluster": {"name": "c", "common": {"idle_timeout": s}}}] for name, s in self._lists.items()}
        return {"wp-1": {"configs": [{"other": 1}, made]}}


def test_active_cluster_lets_go() -> None:
    envoy_config.wait_for_idle_timeout(Envoy(dynamic_active_clusters="1s"), "c")  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize(
    "envoy", [Envoy(dynamic_warming_clusters="1s", dynamic_active_clusters="3600s"), Envoy(), Envoy(static="1s")]
)
def test_warming_cluster_does_not_let_go_yet(envoy: Envoy, clock: Clock) -> None:
    """Planted: what Envoy was given and does not do yet, for 15 s; a cluster that does not exist."""
    with pytest.raises(NotReady, match="lets go of idle connections"):
        envoy_config.wait_for_idle_timeout(envoy, "c")  # type: ignore[arg-type]  # a stand-in


def test_idle_connections_of_another_cluster_do_not_count(clock: Clock) -> None:
    with pytest.raises(NotReady):
        envoy_config.wait_for_idle_timeout(Envoy(dynamic_active_clusters="1s"), "another")  # type: ignore[arg-type]  # a stand-in


class Denying:
    """An Envoy that refuses, somewhere deep in its configuration, or lets pass."""

    gateway = "bookinfo-ingress"

    def __init__(self, **filter: bool) -> None:
        self._filter = filter

    def read_config_dumps(self) -> dict[str, Any]:
        return {"in-1": {"configs": [{"dynamic_listeners": [{"filters": [{"typed_config": self._filter}]}]}]}}


@pytest.mark.parametrize("lenient", [Denying(failure_mode_deny=False), Denying()])
def test_envoy_that_lets_pass_does_not_refuse(lenient: Denying, clock: Clock) -> None:
    """Planted: the switch off, and not there at all."""
    envoy_config.wait_for_fail_closed(Denying(failure_mode_deny=True))  # type: ignore[arg-type]  # a stand-in

    with pytest.raises(NotReady, match="refuses what the limiter does not answer"):
        envoy_config.wait_for_fail_closed(lenient)  # type: ignore[arg-type]  # a stand-in
