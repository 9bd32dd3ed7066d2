"""What happens to an object between the request and the store: checks, defaults, the writes of all verbs."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from harness.cluster.emulated.api import defaults, field_allow_list, field_managers, patches
from harness.cluster.emulated.api.errors import ApiError, bad, invalid
from harness.cluster.emulated.api.kinds import BUILT_IN, EMULATED, Object, ResourceKind, slim
from harness.cluster.emulated.api.store import Store, now
from harness.objects.patches import merge_patch

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_APPLY = "application/apply-patch+yaml"
_BUILT_IN = frozenset(kind.storage for kind in BUILT_IN)


class Admission:
    """Writes objects as clients ask for it. `also` adds checks of the world's: field to why it is refused."""

    def __init__(self, store: Store, also: Callable[[ResourceKind, Object], dict[str, str]] = lambda *_: {}) -> None:
        self.store, self.also = store, also

    def create(self, kind: ResourceKind, namespace: str, body: Object, manager: str) -> Object:
        """Stores a new object.

        Raises:
            ApiError: 400, 404, 409 as Kubernetes; 422 with each field that is wrong or not emulated.
        """
        obj = self._named(kind, namespace, body.get("metadata", {}).get("name", ""), body)
        obj.pop("status", None)
        self._check(kind, obj)
        field_managers.updated(None, obj, manager, now())
        return self.store.create(kind, obj)

    def replace(
        self, kind: ResourceKind, namespace: str, name: str, body: Object, manager: str, *, status: bool
    ) -> Object:
        """Stores a whole new state of an object, or of its status. Raises as `create`."""
        live = self.store.get(kind, namespace, name)
        return self._write(kind, live, self._named(kind, namespace, name, body), manager, status=status)

    def patch(
        self,
        kind: ResourceKind,
        namespace: str,
        name: str,
        body: Any,
        manager: str,
        *,
        how: str,
        force: bool,
        status: bool,
    ) -> tuple[Object, bool]:
        """Patches an object in the format `how` (a content type). The second value says whether it was created.

        Raises:
            ApiError: as `create`; 409 for a conflict of field managers; 415 for an unknown format.
        """
        live = self.store.find(kind.storage, namespace if kind.namespaced else "", name)
        if how == _APPLY:
            return self._apply(kind, namespace, name, body, manager, live=live, force=force, status=status)
        live = self.store.get(kind, namespace, name)
        if how == "application/json-patch+json":
            after = patches.json_patch(live, body)
        elif how == "application/merge-patch+json":
            after = merge_patch(live, body)
        elif how == "application/strategic-merge-patch+json":
            if kind.storage not in _BUILT_IN:  # as the real API server answers for custom kinds
                raise ApiError(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: "
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
                )
            after = patches.strategic(live, body)
        else:
            raise ApiError(415, "UnsupportedMediaType", f"patch format {how!r} is not emulated")
        return self._write(kind, live, self._named(kind, namespace, name, after), manager, status=status), False

    def scale(self, kind: ResourceKind, namespace: str, name: str, replicas: int, manager: str) -> Object:
        """Sets spec.replicas."""
        live = self.store.get(kind, namespace, name)
        return self._write(kind, live, live | {"spec": live["spec"] | {"replicas": replicas}}, manager, status=False)

    def _apply(
        self,
        kind: ResourceKind,
        namespace: str,
        name: str,
        body: Object,
        manager: str,
        *,
        live: Object | None,
        force: bool,
        status: bool,
    ) -> tuple[Object, bool]:
        if not manager:
            raise bad("PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch")
        wanted = self._named(kind, namespace, name, body)
        if status:
            if live is None:
                raise bad("the object of a status apply is not there")
            found = patches.strategic(live.get("status") or {}, wanted.get("status") or {})
            return self.store.update(kind, live | {"status": found}, status=True), False
        if live is None:
            wanted.pop("status", None)
            fresh = copy.deepcopy(wanted)
            self._check(kind, fresh)
            field_managers.record(fresh, {(manager, "Apply"): set(field_managers.leaves(wanted))}, now())
            return self.store.create(kind, fresh), True
        after = field_managers.apply(live, wanted, manager, force=force, now=now())
        self._check(kind, after)
        return self.store.update(kind, after), False

    def _write(self, kind: ResourceKind, live: Object, after: Object, manager: str, *, status: bool) -> Object:
        if status:
            return self.store.update(kind, after, status=True)
        after = copy.deepcopy(after)
        self._check(kind, after)
        field_managers.updated(live, after, manager, now())
        return self.store.update(kind, after)

    def _named(self, kind: ResourceKind, namespace: str, name: str, body: Any) -> Object:
        """A copy of the body with kind, name and namespace filled in, or refused when they say something else."""
        if not isinstance(body, dict):
            raise bad("the body is no object")
        obj = slim(body) if kind.name == "CustomResourceDefinition" else copy.deepcopy(body)
        meta = obj["metadata"] = {k: v for k, v in (obj.get("metadata") or {}).items() if v is not None}
        for field, mine, theirs in (
            ("kind", kind.name, obj.get("kind")),
            ("metadata.namespace", namespace, meta.get("namespace") if kind.namespaced else None),
            ("metadata.name", name, meta.get("name")),
        ):
            if theirs not in (None, "", mine) and mine:
                raise bad(f"{field} of the body ({theirs!r}) does not match the request's ({mine!r})")
        obj |= {"apiVersion": kind.api_version, "kind": kind.name}
        if name:
            meta["name"] = name
        meta.pop("namespace", None)
        if kind.namespaced:
            meta["namespace"] = namespace
        return obj

    def _check(self, kind: ResourceKind, obj: Object) -> None:
        name = obj["metadata"].get("name", "")
        if not _NAME.match(name) and "generateName" not in obj["metadata"]:
            raise invalid(kind.name, name, {"metadata.name": f"{name!r} is no name for an object"})
        if kind.storage not in _BUILT_IN and (kind.group, kind.name) not in EMULATED:
            why = f"objects of kind {kind.name} are not emulated: they would have no effect"
            raise invalid(kind.name, name, {"kind": why})
        refused = field_allow_list.refusals(kind, obj)
        if not refused:
            defaults.fill(kind, obj)
            refused = self.also(kind, obj)
        if refused:
            raise invalid(kind.name, name, refused)
