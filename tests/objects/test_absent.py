"""Every reader of objects takes null, absence and emptiness at every optional path, and none of them reads as true.

The API server sends `null` for an empty list that its Go type does not omit (`status.conditions` of a new
CustomResourceDefinition), leaves out others, and sends `{}` or `[]` for some.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import mesh
from harness.components.envoy import Envoy
from harness.components.ztunnels import Ztunnels
from harness.diagnostics.gather import _containers
from harness.errors import HarnessError
from harness.evidence.journey import pods_by_ip
from harness.helm import _hook
from harness.objects import (
    crds_and_admission_policies,
    failure_events,
    kind_namespace_name,
    manifests,
    patches,
    workloads,
)
from harness.objects.conditions import conditions, is_true, judge_condition
from harness.objects.stack_places import DEFAULT_PLACES
from harness.oracles import signs
from harness.undo.undo_log import UndoLog
from tests.fakes.pods import deployment, event
from tests.recordings import obj, objects
from tests.recordings.shapes import fuzz

ABSENT = object()
EMPTY = (None, ABSENT, {}, [], "")
NAMES = {
    ("kind",),
    ("apiVersion",),
    ("metadata",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "uid"),
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gateways.gateway.networking.k8s.io", "annotations": {"a": "b"}},
    "status": {"conditions": [{"type": "Established", "status": "True"}], "storedVersions": ["v1"]},
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
    },
}
EVENT = event("Pod/default/x-1", "FailedMount", "no")
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "default"},
    "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.4"}]}},
}


def recorded() -> list[dict[str, Any]]:
    files = (
        "objects/pods.yaml",
        "objects/deploy.yaml",
        "objects/gateway.yaml",
        "objects/httproute.yaml",
        "objects/btp.yaml",
    )
    found = [one for file in files for one in objects(file).values()]
    return [*found, obj("negative/pod-neg-image.yaml"), deployment("default/x"), CRD, NODE, SERVICE, EVENT]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in an object that may be missing: all but what names it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = (*path, key)
        if here not in NAMES:
            yield here
        yield from paths(inner, here)


def without(obj_: dict[str, Any], path: tuple[Any, ...], empty: object) -> dict[str, Any]:
    made: Any = copy.deepcopy(obj_)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    if empty is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = copy.deepcopy(empty)
    return made  # type: ignore[no-any-return]  # JSON


def cases() -> list[tuple[dict[str, Any], tuple[Any, ...]]]:
    """Each path once: the items of a list, and the objects of a kind, are read by the same code."""
    found: dict[tuple[Any, ...], tuple[dict[str, Any], tuple[Any, ...]]] = {}
    for one in RECORDED:
        for path in paths(one):
            shape = (one["kind"], *("item" if isinstance(key, int) else key for key in path))
            found.setdefault(shape, (one, path))
    return list(found.values())


RECORDED = recorded()
CASES = cases()


class OneObject:
    """A Kube that has one object, whatever it is asked for."""

    namespace, places = "default", DEFAULT_PLACES

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held

    def get(self, _: object) -> dict[str, Any]:
        return self.held

    find = get

    def list_objects(self, *_: object, **__: object) -> list[dict[str, Any]]:
        return [self.held]

    list_pods = list_objects

    def read_log(self, *_: object, **__: object) -> str:
        return ""

    def patch(self, *_: object) -> None: ...

    def apply(self, *_: object, **__: object) -> None: ...


def readers(one: dict[str, Any], folder: Path) -> dict[str, Callable[[], object]]:
    """Every reader of objects in the harness, by name; those that wait are asked for a single look."""
    kube: Any = OneObject(one)
    admin: Any = None
    fake = deployment("default/x")
    labelled = {**one, "metadata": {**one["metadata"], "labels": {"a": "b"}}}
    found: dict[str, Callable[[], object]] = {
        "conditions": lambda: conditions(one),
        "is_true": lambda: is_true(one, "Ready"),
        "judge_condition": lambda: [
            judge_condition(one, type_).text for type_ in ("Accepted", "Programmed", "ResolvedRefs")
        ],
        "rollout_progress": lambda: [
            workloads.rollout_progress({**one, "kind": kind}) for kind in ("Deployment", "DaemonSet")
        ],
        "find_trouble": lambda: [t.text for t in workloads.find_trouble(one)],
        "is_pod_ready": lambda: workloads.is_pod_ready(one),
        "pod": lambda: (workloads.pod_ip(one), workloads.node_name(one), workloads.pod_name(one)),
        "selector": lambda: workloads.selector(one),
        "pod_containers": lambda: workloads.pod_containers(one),
        "addresses": lambda: workloads.addresses([one]),
        "is_scaled_to_zero": lambda: workloads.is_scaled_to_zero(one),
        "events of it": lambda: failure_events.find_event_trouble(fake, [one], [EVENT]),
        "events": lambda: (
            failure_events.find_event_trouble(fake, [], [one]) + failure_events.find_event_trouble(one, [], [EVENT])
        ),
        "ref_of": lambda: kind_namespace_name.ref_of(one),
        "gateway_api_version": lambda: crds_and_admission_policies.gateway_api_version(one),
        "pin_images": lambda: manifests.pin_images([one], ["docker.io/x/app:2"]),
        "inverse_patch": lambda: patches.inverse_patch(one, {"metadata": {"labels": {"a": None}}}),
        "hook": lambda: _hook(one),
        "pods_by_ip": lambda: pods_by_ip([one]),
        "restarts": lambda: list(signs.restarts([one], [one])),
        "gathered containers": lambda: _containers(one),
        "UndoLog.remember": lambda: UndoLog(folder / "made.json").remember(kube, [one, labelled]),
        "mesh pod": lambda: mesh.read_client_pod(kube),
        "Envoy": lambda: (Envoy(kube, admin, "default", "x").pod, Envoy(kube, admin, "default", "x").ips),
        "Ztunnels": lambda: (Ztunnels(kube, admin).read_logs(), Ztunnels(kube, admin).read_ready_nodes()),
    }
    return found | stack_readers(one, kube, folder)


def stack_readers(one: dict[str, Any], kube: Any, folder: Path) -> dict[str, Callable[[], object]]:
    from harness.clients import service_address
    from harness.disruption import nodes, restarts
    from harness.install import running_versions
    from harness.oracles import collector
    from harness.waits import rollouts

    def reached() -> object:
        entry = service_address._port(one, 80)
        return list(service_address._addresses(kube, one, entry)), service_address._target(one, entry, one)

    return {
        "reach": reached,
        "ready pods": lambda: rollouts.read_pods(kube, one),
        "disturbed pods": lambda: restarts._pods(kube, "Deployment/default/x"),
        "on": lambda: nodes.read_pods_on(kube, "n1"),
        "workloads of a node": lambda: nodes.read_deployments_on(kube, "n1"),
        "can leave": lambda: nodes._can_leave(one),
        "kind of a component": lambda: collector._kind(one),
        "image": lambda: running_versions._image(one),
    }


def offenders(one: dict[str, Any], folder: Path) -> dict[str, Exception]:
    """The readers that fail otherwise than in our words."""
    found: dict[str, Exception] = {}
    for name, read in readers(one, folder).items():
        try:
            read()
        except HarnessError:
            pass
        except Exception as error:  # noqa: BLE001  # any other is what is looked for
            found[name] = error
    return found


def test_nothing_is_read_without_an_error(tmp: Path) -> None:
    """With any one path null or absent no reader meets a TypeError, KeyError, AttributeError or IndexError: it
    reads less, or refuses in our words. All that do are listed."""
    found = {
        f"{name}: {one['kind']} with {'.'.join(map(str, path))} as {empty!r}": error
        for one, path in CASES
        for empty in (None, ABSENT)
        for name, error in offenders(without(one, path, empty), tmp).items()
    }

    assert found == {}


@fuzz
@given(st.data())
def test_several_at_once_are_read_without_an_error(tmp: Path, data: st.DataObject) -> None:
    """So too with several paths null, absent or empty together."""
    one = RECORDED[data.draw(st.sampled_from(range(len(RECORDED))))]
    for _ in range(data.draw(st.integers(2, 5))):
        left = list(paths(one))
        if left:
            path = left[data.draw(st.integers(0, len(left) - 1))]
            one = without(one, path, data.draw(st.sampled_from(EMPTY)))

    assert offenders(one, tmp) == {}


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("absent")


READY = next(copy.deepcopy(p) for name, p in objects("objects/pods.yaml").items() if name.startswith("waypoint"))


@pytest.mark.parametrize("empty", EMPTY, ids=["null", "absent", "map", "list", "text"])
@pytest.mark.parametrize("path", [("status",), ("status", "conditions")], ids=".".join)
def test_absence_is_not_true(path: tuple[str, ...], empty: object) -> None:
    """Of what is silent nothing is ready, established, met or rolled out."""
    for one, type_ in ((READY, "Ready"), (CRD, "Established"), (NODE, "Ready")):
        assert is_true(one, type_)
        assert not is_true(without(one, path, empty), type_)
    assert workloads.is_pod_ready(READY)
    assert not workloads.is_pod_ready(without(READY, path, empty))
    silent = without(deployment("default/x", ready=1), ("status",), empty)
    assert not workloads.rollout_progress(silent).done


@fuzz
@given(st.data())
def test_taking_away_makes_nothing_ready(data: st.DataObject) -> None:
    """A pod that is not ready, a rollout that is not done and a condition that is not met stay so, whatever is left out
    of their status."""
    unready = copy.deepcopy(READY)
    for condition in unready["status"]["conditions"]:
        condition["status"] = "False"
    path = data.draw(st.sampled_from([p for p in paths(unready) if p[0] == "status"]))
    empty = data.draw(st.sampled_from(EMPTY))

    assert not workloads.is_pod_ready(without(unready, path, empty))
    undone = deployment("default/x", ready=0)
    path = data.draw(st.sampled_from([p for p in paths(undone) if p[0] == "status"]))
    assert not workloads.rollout_progress(without(undone, path, empty)).done
