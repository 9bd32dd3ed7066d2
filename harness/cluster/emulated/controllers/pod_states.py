"""Builds pod objects from their template, and their status in each state of their life. Pure."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from typing import Any

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import now
from harness.cluster.emulated.controllers.conditions import is_true, merged

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, no words


def suffix() -> str:
    """Five random characters, as pod names end with."""
    return "".join(random.choices(_ALPHABET, k=5))


def template_hash(template: Object) -> str:
    """Ten characters that stand for a pod template."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def from_template(owner: Object, template: Object, labels: Object) -> Object:
    """A new pod of a ReplicaSet or DaemonSet."""
    meta = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
    metadata: Object = {
        "generateName": f"{meta['name']}-",
        "name": f"{meta['name']}-{suffix()}",
        "namespace": meta["namespace"],
        "labels": (template["metadata"].get("labels") or {}) | labels,
        "ownerReferences": [reference],
    }
    if annotations := template["metadata"].get("annotations"):
        metadata["annotations"] = dict(annotations)
    spec = template["spec"] | {"enableServiceLinks": True}
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def ready(pod: Object) -> bool:
    """Whether the pod is Ready and not on its way out."""
    return "deletionTimestamp" not in pod["metadata"] and is_true(pod.get("status", {}).get("conditions"), "Ready")


def cpu(pod: Object) -> int:
    """The processor time its containers request, in thousandths of a core."""
    return sum(
        _milli(one.get("resources", {}).get("requests", {}).get("cpu", "0")) for one in pod["spec"]["containers"]
    )


def _milli(quantity: Any) -> int:
    text = str(quantity)
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def unschedulable(pod: Object, message: str) -> Object:
    """The status of a pod that fits no node."""
    what = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return _status(pod, "Pending", [what], None)


def creating(pod: Object, host: str) -> Object:
    """The status of a pod whose containers are about to start."""
    waiting = [_container(one, {"waiting": {"reason": "ContainerCreating"}}, 0) for one in pod["spec"]["containers"]]
    return _bound(pod, "Pending", host, "", waiting)


def waiting(pod: Object, host: str, ip: str, container: str, why: tuple[str, str], restarts: Sequence[int]) -> Object:
    """The status of a pod one of whose containers does not come up: `why` is a waiting reason and its message."""
    states = [
        _container(one, {"waiting": dict(zip(("reason", "message"), why, strict=True))}, count)
        if one["name"] == container
        else _container(one, {"running": {"startedAt": now()}}, count, ready=True)
        for one, count in zip(pod["spec"]["containers"], restarts, strict=True)
    ]
    return _bound(pod, "Pending" if len(states) == 1 else "Running", host, ip, states)


def running(pod: Object, host: str, ip: str, started: str, restarts: Sequence[int], *, is_ready: bool) -> Object:
    """The status of a pod whose containers run; `started` is since when."""
    states = [
        _container(one, {"running": {"startedAt": started}}, count, ready=is_ready)
        for one, count in zip(pod["spec"]["containers"], restarts, strict=True)
    ]
    return _bound(pod, "Running", host, ip, states)


def _container(spec: Object, state: Object, restarts: int, *, ready: bool = False) -> Object:
    last: Object = {}
    if restarts:
        last = {"terminated": {"exitCode": 137, "reason": "Error", "startedAt": now(), "finishedAt": now()}}
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": ready,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


def _bound(pod: Object, phase: str, host: str, ip: str, containers: list[Object]) -> Object:
    """The status of a pod that has a node."""
    unready = [one["name"] for one in containers if not one["ready"]]
    listed = f"containers with unready status: [{' '.join(unready)}]"
    conditions: list[Object] = [
        {"type": "PodReadyToStartContainers", "status": "True" if ip else "False"},
        {"type": "Initialized", "status": "True"},
    ]
    for type_ in ("Ready", "ContainersReady"):
        one: Object = {"type": type_, "status": "False" if unready else "True"}
        conditions.append(one | ({"reason": "ContainersNotReady", "message": listed} if unready else {}))
    conditions.append({"type": "PodScheduled", "status": "True"})
    status = _status(pod, phase, conditions, containers)
    status |= {"hostIP": host, "hostIPs": [{"ip": host}], "startTime": pod["status"].get("startTime") or now()}
    return status | ({"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {})


def _status(pod: Object, phase: str, conditions: list[Object], containers: list[Object] | None) -> Object:
    generation = pod["metadata"].get("generation", 1)
    seen = [{"lastProbeTime": None, "observedGeneration": generation} | one for one in conditions]
    requests = any(one.get("resources", {}).get("requests") for one in pod["spec"]["containers"])
    status: Object = {
        "phase": phase,
        "observedGeneration": generation,
        "qosClass": "Burstable" if requests else "BestEffort",
        "conditions": merged(pod.get("status", {}).get("conditions"), seen),
    }
    return status | ({} if containers is None else {"containerStatuses": containers})
