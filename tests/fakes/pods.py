"""Pods and workloads in the states that matter, shaped as kubelet and the controllers write them."""

from __future__ import annotations

from typing import Any

from tests.fakes.api import Object, named

PULL = 'Back-off pulling image "docker.io/x/app:1": ErrImagePull: manifest unknown'


def pod(name: str, *, labels: dict[str, str], ip: str = "10.0.0.1", ready: bool = True, **more: Any) -> Object:
    """A running pod ("default/x-1")."""
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"phase": "Running", "podIP": ip, "hostIP": "172.18.0.2", "conditions": conditions, **more}
    spec = {"nodeName": "n1", "containers": [{"name": "app", "image": "docker.io/x/app:1"}]}
    return named(f"Pod/{name}", metadata={"labels": labels}, spec=spec, status=status)


def waiting(name: str, reason: str, message: str = "", *, labels: dict[str, str]) -> Object:
    """A pod whose only container waits for that reason."""
    state = {"name": "app", "image": "docker.io/x/app:1", "ready": False,
             "state": {"waiting": {"reason": reason, "message": message}}}  # fmt: skip
    return pod(name, labels=labels, ready=False) | {"status": {"phase": "Pending", "containerStatuses": [state]}}


def unschedulable(name: str, message: str, *, labels: dict[str, str]) -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(name, labels=labels, ready=False) | {"status": {"phase": "Pending", "conditions": [condition]}}


def deployment(name: str, *, ready: int = 0, wanted: int = 1, labels: dict[str, str] | None = None) -> Object:
    """A Deployment ("default/x") of which that many pods are ready."""
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    labels = labels or {"app": name.partition("/")[2]}
    containers = [{"name": "app", "image": "docker.io/x/app:1"}]
    spec = {"replicas": wanted, "selector": {"matchLabels": labels}, "template": {"spec": {"containers": containers}}}
    return named(
        f"Deployment/{name}", metadata={"generation": 1}, spec=spec, status={"observedGeneration": 1, **counts}
    )


def event(about: str, reason: str, message: str, *, uid: str = "", time: str = "2026-11-27T12:00:00Z") -> Object:
    """A Warning about an object ("Pod/default/x-1"), as kubelet and controllers write them."""
    kind, namespace, name = about.split("/")
    involved = {"kind": kind, "namespace": namespace, "name": name} | ({"uid": uid} if uid else {})
    more = {"type": "Warning", "reason": reason, "message": message, "count": 3, "lastTimestamp": time}
    return named(f"Event/{namespace}/{name}.{reason.lower()}", involvedObject=involved, **more)
