"""Deployments and DaemonSets become pods as Kubernetes would have it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from harness.cluster.emulated.api import defaults
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.controllers import pod_states
from harness.cluster.emulated.controllers.services import Services
from harness.cluster.emulated.controllers.workloads import Workloads
from harness.cluster.emulated.initial_objects import node
from harness.objects.workloads import find_trouble, rollout_progress


@pytest.fixture
def store() -> Store:
    store = Store()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    store.create(store.named("Namespace"), namespace)
    for name in ("a-control-plane", "a-worker"):
        store.create(store.named("Node"), node(name, "127.1.250.2", "1.34.4"))
    return store


def deployment(replicas: int = 1, image: str = "i:1", cpu: str = "10m") -> Object:
    container = {"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}}
    template = {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "d"}}, "template": template}
    meta = {"name": "d", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def apply(store: Store, obj: Object) -> None:
    kind = store.named(obj["kind"], "apps")
    defaults.fill(kind, obj)
    live = store.find(kind.storage, "default", obj["metadata"]["name"])
    if live:
        store.update(kind, live | {"spec": obj["spec"]})
    else:
        store.create(kind, obj)


def sync(store: Store, *, run: bool = True) -> None:
    """Controllers and a kubelet that starts everything at once, until nothing changes."""
    addresses = itertools.count(2)
    controllers = (Services(store, lambda: "127.1.96.2"), Workloads(store))
    for _ in range(9):
        for controller in controllers:
            controller.sync()
        for pod in store.all("pods") if run else ():
            if "deletionTimestamp" in pod["metadata"]:
                store.finish(store.named("Pod"), pod)
            elif pod["spec"].get("nodeName") and not pod_states.ready(pod):
                status = pod_states.running(pod, "127.1.250.3", f"127.1.0.{next(addresses)}", "now", [0], is_ready=True)
                store.update(store.named("Pod"), pod | {"status": status}, status=True)


def live(store: Store) -> Any:
    return store.find("deployments.apps", "default", "d")


def images(store: Store) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for pod in store.all("pods")]


def test_deployment_rolls_out_on_the_untainted_node(store: Store) -> None:
    apply(store, deployment(3))
    sync(store)

    assert rollout_progress(live(store)).done
    assert {pod["spec"]["nodeName"] for pod in store.all("pods")} == {"a-worker"}


def test_changed_template_replaces_pods_and_keeps_one_serving(store: Store) -> None:
    apply(store, deployment())
    sync(store)
    (old,) = store.all("pods")
    apply(store, deployment(image="i:2"))
    sync(store, run=False)

    assert sorted(images(store)) == ["i:1", "i:2"]
    assert not rollout_progress(live(store)).done
    assert pod_states.ready(store.find("pods", "default", old["metadata"]["name"]) or {})
    sync(store)
    assert images(store) == ["i:2"]
    assert rollout_progress(live(store)).done


def test_scaling_to_none_takes_all_pods_away(store: Store) -> None:
    apply(store, deployment(2))
    sync(store)
    apply(store, deployment(0))
    sync(store)

    assert store.all("pods") == []
    assert rollout_progress(live(store)).text == "0/0 ready, 0 updated"


def test_pod_that_fits_no_node_says_so_in_the_schedulers_words(store: Store) -> None:
    apply(store, deployment(cpu="64"))
    sync(store)

    (message,) = find_trouble(store.all("pods")[0])
    assert message.reason == "Unschedulable"
    assert message.message.startswith("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint")


def test_daemon_set_has_a_pod_on_every_node(store: Store) -> None:
    spec = deployment()["spec"]
    meta = {"name": "ds", "namespace": "default"}
    spec.pop("replicas")
    apply(store, {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": spec})
    sync(store)

    daemon_set = store.find("daemonsets.apps", "default", "ds")
    assert daemon_set is not None
    assert rollout_progress(daemon_set).done
    assert sorted(pod["spec"]["nodeName"] for pod in store.all("pods")) == ["a-control-plane", "a-worker"]


def test_deleting_the_deployment_takes_its_pods_along(store: Store) -> None:
    apply(store, deployment())
    sync(store)
    store.delete(store.named("Deployment", "apps"), "default", "d")
    sync(store)

    assert store.all("pods") == []
    assert store.all("replicasets.apps") == []
