"""The in-memory object store of the emulated API: resource versions, generations, finalizers, owners.

Stored objects are never changed in place: each write puts a new one there, so readers may keep what they were given.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from harness.cluster.emulated.api.errors import ApiError, exists, not_found
from harness.cluster.emulated.api.kinds import BUILT_IN, Object, ResourceKind, defined_by

_ENDING = "pods"  # the kind whose removal takes time: what it runs ends first
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


class Key(NamedTuple):
    """Where an object is: its kind's storage, its namespace ("" for none), its name."""

    storage: str
    namespace: str
    name: str


def now() -> str:
    """The time as objects carry it: whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Snapshot:
    objects: dict[Key, Object]
    kinds: dict[tuple[str, str, str], ResourceKind]


@dataclass
class Store:
    """All objects by key. `changed` is called after each write."""

    changed: Callable[[], None] = lambda: None
    objects: dict[Key, Object] = field(default_factory=dict)
    kinds: dict[tuple[str, str, str], ResourceKind] = field(default_factory=dict)
    version: int = 0

    def __post_init__(self) -> None:
        for kind in BUILT_IN:
            self.kinds[kind.group, kind.version, kind.plural] = kind

    def kind(self, group: str, version: str, plural: str) -> ResourceKind:
        """The kind served under these names.

        Raises:
            ApiError: 404, there is none.
        """
        found = self.kinds.get((group, version, plural))
        if found is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return found

    def named(self, name: str, group: str = "") -> ResourceKind:
        """The first kind of that name (`Pod`) and group.

        Raises:
            KeyError: it is not served; a CustomResourceDefinition may be missing.
        """
        for kind in self.kinds.values():
            if (kind.name, kind.group) == (name, group):
                return kind
        raise KeyError(f"{name}.{group}")

    def find(self, storage: str, namespace: str, name: str) -> Object | None:
        return self.objects.get(Key(storage, namespace, name))

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Object:
        """One object.

        Raises:
            ApiError: 404, there is none.
        """
        found = self.objects.get(Key(kind.storage, namespace, name))
        if found is None:
            raise not_found(kind, name)
        return found

    def all(self, storage: str, namespace: str | None = None) -> list[Object]:
        """The objects of a kind in one namespace (all for None), by namespace and name."""
        wanted = [k for k in self.objects if k.storage == storage and namespace in (None, k.namespace)]
        return [self.objects[key] for key in sorted(wanted)]

    def create(self, kind: ResourceKind, obj: Object) -> Object:
        """Stores a new object and gives it what the API server gives.

        Raises:
            ApiError: 409, it is there already; 404, its namespace is not.
        """
        meta = obj["metadata"]
        key = Key(kind.storage, meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        if key in self.objects:
            raise exists(kind, key.name)
        if kind.namespaced and Key("namespaces", "", key.namespace) not in self.objects:
            raise ApiError(404, "NotFound", f'namespaces "{key.namespace}" not found')
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if kind.generations:
            meta["generation"] = 1
        return self._put(kind, key, obj)

    def update(self, kind: ResourceKind, obj: Object, *, status: bool = False) -> Object:
        """Stores a new state of an object; with `status` only its status, else all but its status.

        Raises:
            ApiError: 404, it does not exist; 409, its resourceVersion or uid is not the stored one's.
        """
        meta = obj["metadata"]
        key = Key(kind.storage, meta.get("namespace", "") if kind.namespaced else "", meta["name"])
        live = self.get(kind, key.namespace, key.name)
        have = live["metadata"]
        if meta.get("resourceVersion", have["resourceVersion"]) != have["resourceVersion"]:
            raise ApiError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {kind.storage} "{key.name}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )
        if status:
            fresh = live | {"status": obj.get("status", {})}
        else:
            fixed = {k: have[k] for k in ("uid", "creationTimestamp", "generation", "deletionTimestamp") if k in have}
            fresh = {k: v for k, v in obj.items() if k != "status"} | {"metadata": meta | fixed}
            if "status" in live:
                fresh["status"] = live["status"]
        if _content(fresh) == _content(live):
            return live
        if kind.generations and not status and _spec(fresh) != _spec(live):
            fresh["metadata"] = fresh["metadata"] | {"generation": have["generation"] + 1}
        if fresh["metadata"].get("deletionTimestamp") and not self._held(kind, fresh):
            return self._remove(kind, key)
        return self._put(kind, key, fresh)

    def delete(self, kind: ResourceKind, namespace: str, name: str, *, grace: int | None = None) -> Object:
        """Deletes an object: at once, or when its finalizers are gone and what it runs has ended.

        Raises:
            ApiError: 404, it does not exist.
        """
        live = self.get(kind, namespace, name)
        key = Key(kind.storage, namespace if kind.namespaced else "", name)
        if kind.storage == "namespaces":
            for inside in [k for k in self.objects if k.namespace == name]:
                if inside in self.objects:
                    self._delete_key(inside)
        if not self._held(kind, live) or grace == 0:
            return self._remove(kind, key)
        if "deletionTimestamp" in live["metadata"]:
            return live
        seconds = live.get("spec", {}).get("terminationGracePeriodSeconds", 0) if grace is None else grace
        leaving = {"deletionTimestamp": now(), "deletionGracePeriodSeconds": seconds}
        return self._put(kind, key, live | {"metadata": live["metadata"] | leaving})

    def finish(self, kind: ResourceKind, obj: Object) -> None:
        """Removes an object whose deletion was waited for; does nothing when it is gone or is another one by now."""
        meta = obj["metadata"]
        key = Key(kind.storage, meta.get("namespace", ""), meta["name"])
        live = self.objects.get(key)
        if live and live["metadata"]["uid"] == meta["uid"]:
            self._remove(kind, key)

    def snapshot(self) -> Snapshot:
        return Snapshot(dict(self.objects), dict(self.kinds))

    def restore(self, snapshot: Snapshot) -> None:
        """Puts back the objects and kinds of a snapshot."""
        for key in [k for k in self.objects if k not in snapshot.objects]:
            if key in self.objects:
                self._remove(self._kind_of(key), key, cascade=False)
        for key, obj in snapshot.objects.items():
            if self.objects.get(key) != obj:
                self._put(self._kind_of(key), key, copy.deepcopy(obj))
        self.kinds = dict(snapshot.kinds)

    def _kind_of(self, key: Key) -> ResourceKind:
        return next(kind for kind in self.kinds.values() if kind.storage == key.storage)

    def _held(self, kind: ResourceKind, obj: Object) -> bool:
        running = kind.storage == _ENDING and bool(obj.get("spec", {}).get("nodeName"))
        return running or bool(obj["metadata"].get("finalizers"))

    def _delete_key(self, key: Key) -> None:
        self.delete(self._kind_of(key), key.namespace, key.name)

    def _put(self, kind: ResourceKind, key: Key, obj: Object) -> Object:
        self.version += 1
        obj["metadata"] = obj["metadata"] | {"resourceVersion": str(self.version)}
        self.objects[key] = obj
        if kind.storage == _DEFINITIONS:
            for one in defined_by(obj):
                self.kinds[one.group, one.version, one.plural] = one
        self.changed()
        return obj

    def _remove(self, kind: ResourceKind, key: Key, *, cascade: bool = True) -> Object:
        obj = self.objects.pop(key)
        self.version += 1
        gone = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self.version)}}
        if kind.storage == _DEFINITIONS:
            for one in defined_by(obj):
                for mine in [k for k in self.objects if k.storage == one.storage]:
                    self.objects.pop(mine)
                self.kinds.pop((one.group, one.version, one.plural), None)
        if cascade:
            self._collect(obj["metadata"]["uid"])
        self.changed()
        return gone

    def _collect(self, owner: str) -> None:
        """Deletes what only the gone owner owned."""
        owned = [
            key
            for key, obj in self.objects.items()
            if any(ref["uid"] == owner for ref in obj["metadata"].get("ownerReferences") or ())
        ]
        for key in owned:
            if key in self.objects:
                self._delete_key(key)


def _content(obj: Object) -> dict[str, Any]:
    hidden = ("resourceVersion", "managedFields")
    return obj | {"metadata": {k: v for k, v in obj["metadata"].items() if k not in hidden}}


def _spec(obj: Object) -> dict[str, Any]:
    return {k: v for k, v in obj.items() if k not in ("metadata", "status", "apiVersion")}
