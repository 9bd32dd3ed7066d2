"""What paths cost: fortio's results, proxies' counters around them, use of components while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from harness.components.resource_usage import Kubelets, Use
from harness.errors import Inconclusive
from harness.kube import Kube
from harness.load import path_cost
from harness.load.path_cost import BUSY, Path, measure_counted, measure_idle_use, measure_use_under_load
from tests.fakes.api import FakeApi
from tests.fakes.clock import Clock
from tests.fakes.pods import pod

PATHS = (Path("no mesh", "http://plain:9080/", client="app=plain"), Path("waypoint", "http://a:9080/", {"Host": "b"}))
PARTS = {"waypoint": ("default", "waypoint-")}


def result(ms: float, qps: float, count: int = 10) -> str:
    percentiles = [{"Percentile": one, "Value": ms / 1000} for one in (50, 90, 99)]
    return json.dumps({"RetCodes": {"200": count}, "ActualQPS": qps, "DurationHistogram": {"Percentiles": percentiles}})


class Pod:
    """Stands in for the API: fortio's results by the URL that it was given, and which commands ran."""

    namespace = "default"

    def __init__(self, **outputs: str) -> None:
        self.outputs, self.ran = outputs, list[list[str]]()

    def list_pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        return [pod(f"default/{labels.partition('=')[2]}", labels={}, ip="10.0.0.1")]

    def exec_in_pod(self, namespace: str, name: str, container: str, argv: Sequence[str], **_: Any) -> Any:
        self.ran.append([name, *argv])
        return SimpleNamespace(stdout=self.outputs[name], stderr="", code=0)


class Envoy:
    """Counts what it is asked to."""

    @contextmanager
    def counting(self, ending: str) -> Iterator[Any]:
        change = SimpleNamespace(moved=0)
        yield change
        change.moved = len(ending)


def measured(**outputs: str) -> Any:
    kube = Pod(**outputs)
    return measure_counted(kube, PATHS, 3, {"waypoint": (Envoy(), "rq_total")}), kube  # type: ignore[arg-type,dict-item]  # stand-ins


def test_every_path_is_measured_in_each_round() -> None:
    """Latency and throughput by path, from the pod of each, with the headers that lead there."""
    found, kube = measured(**{"plain": result(1.0, 900.0), "mesh-client": result(3.0, 300.0)})

    assert {name: len(rounds) for name, rounds in found.paths.items()} == {"no mesh": 3, "waypoint": 3}
    assert found.series(lambda one: one.ms[50]) == {"no mesh": [1.0] * 3, "waypoint": [3.0] * 3}
    assert found.series(lambda one: one.per_second)["waypoint"] == [300.0] * 3
    assert found.statuses == {"no mesh": {"200"}, "waypoint": {"200"}}
    assert found.counters == {"waypoint": len("rq_total")}
    assert {command[0] for command in kube.ran} == {"plain", "mesh-client"}
    assert {"Host: b" in command for command in kube.ran if command[0] == "mesh-client"} == {True}


def test_requests_that_open_connections_count_as_sent() -> None:
    """fortio counts 10 of each measurement; 1 and BUSY more opened its connections."""
    found, _ = measured(**{"plain": result(1.0, 1.0), "mesh-client": result(1.0, 1.0)})

    assert found.sent("waypoint") == 3 * (20 + 1 + BUSY)
    assert found.sent("waypoint", "no mesh") == 2 * found.sent("waypoint")


@pytest.mark.parametrize("output", ["", "no JSON", "{}", '{"RetCodes": {}, "DurationHistogram": {}}'])
def test_fortio_without_a_result_is_not_judged(output: str) -> None:
    """What it measured is not known."""
    with pytest.raises(Inconclusive, match="fortio wrote no result to http://"):
        measured(**{"plain": output, "mesh-client": output})


# -- use of components


def page(seconds: float, at: int, memory: int = 2**20) -> str:
    container = {
        "name": "envoy",
        "cpu": {"time": f"2026-11-27T23:59:{at:02}Z", "usageCoreNanoSeconds": int(seconds * 1e9)},
        "memory": {"workingSetBytes": memory},
    }
    return json.dumps({"pods": [{"podRef": {"namespace": "default", "name": "waypoint-1"}, "containers": [container]}]})


class Node(Pod):
    """The same with one node, whose kubelet's pages come one after another."""

    def __init__(self, *pages: str, **outputs: str) -> None:
        super().__init__(**outputs)
        self.pages = list(pages)

    def list_objects(self, kind: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "worker"}}]

    def read_node_stats(self, node: str) -> str:
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(path_cost, "pause", lambda seconds, why: None)


def test_use_is_the_difference_of_two_measurements(paused: None, clock: Clock) -> None:
    """A page that is as old as the first is not taken: 2 core seconds in 10 s are 0.2 cores."""
    kubelets = Kubelets(Node(page(1.0, 10), page(1.0, 10), page(3.0, 20, 2**21)))  # type: ignore[arg-type]  # a stand-in

    assert measure_idle_use(kubelets, PARTS) == {"waypoint": Use(pytest.approx(0.2), 2**21)}  # type: ignore[arg-type]  # approx


def test_idle_use_begins_after_the_load_before_it(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Kubelets measure every 10 to 15 s: a page read at once ends within the load before, whose use is not idle use."""
    node = Node(page(1.0, 10), page(3.0, 20), page(3.1, 30))
    monkeypatch.setattr(path_cost, "pause", lambda seconds, why: node.pages.pop(0) if "last load" in why else None)

    assert measure_idle_use(Kubelets(node), PARTS)["waypoint"].cores == pytest.approx(0.01)  # type: ignore[arg-type]  # a stand-in


def test_component_without_a_container_is_not_judged(paused: None) -> None:
    """Its use is not 0, it is not known."""
    kubelets = Kubelets(Node(page(1.0, 10)))  # type: ignore[arg-type]  # a stand-in

    with pytest.raises(Inconclusive, match="the kubelets list no container of ingress"):
        measure_idle_use(kubelets, PARTS | {"ingress": ("default", "ingress-")})


def test_load_that_ends_early_is_not_judged(paused: None, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the second measurement was of no load."""
    node = Node(page(1.0, 10), page(3.0, 20), **{"mesh-client": result(1.0, 200.0)})
    monkeypatch.setattr(path_cost.ThreadPoolExecutor, "submit", lambda _, act, *args: Done(act(*args)))

    with pytest.raises(Inconclusive, match="ended before the kubelets had measured twice"):
        measure_use_under_load(Kubelets(node), PARTS, node, PATHS[1], 200)  # type: ignore[arg-type]  # stand-ins


class Done:
    """A load that has ended."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def done(self) -> bool:
        return True

    def result(self) -> Any:
        return self.value


def test_page_is_read_through_the_api(kube: Kube, api: FakeApi) -> None:
    """The API server passes the request on to the node's kubelet."""
    api.logs[("worker", "kubelet")] = page(1.0, 10)

    assert json.loads(kube.read_node_stats("worker"))["pods"][0]["podRef"]["name"] == "waypoint-1"
