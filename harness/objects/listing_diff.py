"""Compares two lists of a cluster's objects: new, deleted and changed ones.

Pure. A listing maps "group/Kind/namespace/name" to the object as `comparable` leaves it, and can be kept as JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.objects.unstructured import Json, mapping, text

Listing = Mapping[str, Json]
SHOWN = 80  # characters of a value in a line

# Written all the time, whatever anybody does: elections, events, heartbeats, endpoints of pods that come and go.
KINDS_THAT_CHURN = frozenset(
    {"Lease", "Event", "EndpointSlice", "Endpoints", "ComponentStatus", "PodMetrics", "NodeMetrics"}
)
# Their status follows from kubelet and from pods that come and go; their spec is set by users.
STATUS_THAT_CHURNS = frozenset(
    {
        *("Pod", "Node", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota", "APIService"),
    }
)
METADATA_THAT_CHURNS = ("resourceVersion", "managedFields", "selfLink")
# Annotations in which controllers keep when they last did something.
ANNOTATIONS_THAT_CHURN = (
    "control-plane.alpha.kubernetes.io/leader",
    "endpoints.kubernetes.io/last-change-trigger-time",
)
TIMES = ("Time", "time", "Timestamp")  # how keys of times end: lastTransitionTime, lastUpdateTime, …


def listing(objects: Iterable[Json]) -> dict[str, Json]:
    """The objects that are compared, by name."""
    return {key(one): comparable(one) for one in objects if text(one, "kind") not in KINDS_THAT_CHURN}


def key(obj: Json) -> str:
    """An object's name: "gateway.networking.k8s.io/Gateway/default/waypoint", "Node/worker"."""
    group = text(obj, "apiVersion").rpartition("/")[0]
    where = text(obj, "metadata", "namespace")
    return "/".join(filter(None, (group, text(obj, "kind"), where, text(obj, "metadata", "name"))))


def comparable(obj: Json) -> Json:
    """An object without what Kubernetes itself changes. Values of Secrets are hashes: a listing is kept in a file."""
    metadata = {name: value for name, value in mapping(obj, "metadata").items() if name not in METADATA_THAT_CHURNS}
    if mapping(metadata, "annotations"):
        kept = {k: v for k, v in metadata["annotations"].items() if k not in ANNOTATIONS_THAT_CHURN}
        metadata["annotations"] = kept
    found = {**obj, "metadata": metadata}
    if text(obj, "kind") in STATUS_THAT_CHURNS:
        found.pop("status", None)
    elif "status" in found:
        found["status"] = _timeless(found["status"])
    for name in ("data", "stringData") if text(obj, "kind") == "Secret" else ():
        found[name] = {k: hashlib.sha256(str(v).encode()).hexdigest()[:12] for k, v in mapping(obj, name).items()}
    return found


def differences(before: Listing, after: Listing) -> list[str]:
    """What differs, a line each, by name: "new: …", "gone: …", "changed: … .spec.replicas: 1 -> 0". One that was
    deleted and made again is changed: its uid is another."""
    found = []
    for name in sorted({*before, *after}):
        if name not in before:
            found.append(f"new: {name}")
        elif name not in after:
            found.append(f"gone: {name}")
        else:
            found += [f"changed: {name} {path}" for path in _changes(before[name], after[name])]
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(one) for name, one in value.items() if not name.endswith(TIMES)}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _changes(before: Any, after: Any, path: str = "") -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _changes(before.get(name), after.get(name), f"{path}.{name}")
    elif before != after:
        yield f"{path}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    found = json.dumps(value)
    return found if len(found) <= SHOWN else f"{found[:SHOWN]}…"
