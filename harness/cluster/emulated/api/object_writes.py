"""Writes of objects in the emulated API: validation, defaults and field managers, before they are stored."""

from __future__ import annotations

import copy
import re
from typing import Any

from harness.cluster.emulated.api import defaults, field_allow_list, field_managers
from harness.cluster.emulated.api.errors import ApiError, bad, invalid
from harness.cluster.emulated.api.kinds import BUILT_IN, EMULATED, Object, ResourceKind, slim
from harness.cluster.emulated.api.store import Store, now
from harness.objects.patches import merge_patch

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
APPLY = "application/apply-patch+yaml"
_BUILT_IN = frozenset(kind.storage for kind in BUILT_IN)


class Admission:
    """Writes objects as clients ask for it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def patch(
        self, kind: ResourceKind, namespace: str, name: str, body: Any, manager: str, *, how: str, force: bool = False
    ) -> tuple[Object, bool]:
        """Patches an object in the format `how` (a content type). The second value says whether it was created.

        Raises:
            ApiError: 400, 404 as Kubernetes; 409 for a conflict of field managers; 415 for a format that is not
                emulated; 422 with each field that is wrong or not emulated.
        """
        live = self.store.find(kind.storage, namespace if kind.namespaced else "", name)
        if how == APPLY and live is None:
            return self.create(kind, namespace, name, body, manager), True
        live = self.store.get(kind, namespace, name)
        if how == APPLY:
            wanted = self._named(kind, namespace, name, body)
            after = field_managers.apply(live, wanted, manager, force=force, now=now())
        elif how == "application/merge-patch+json":
            after = self._named(kind, namespace, name, merge_patch(live, body))
        else:
            raise ApiError(415, "UnsupportedMediaType", f"patch format {how!r} is not emulated")
        self._check(kind, after)
        return self.store.update(kind, after), False

    def create(self, kind: ResourceKind, namespace: str, name: str, body: Any, manager: str) -> Object:
        """Stores an object that `manager` applies for the first time. Raises as `patch`."""
        fresh = self._named(kind, namespace, name, body)
        fresh.pop("status", None)
        setting = set(field_managers.leaves(fresh))
        self._check(kind, fresh)
        field_managers.record(fresh, {manager: setting}, now())
        return self.store.create(kind, fresh)

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
        meta["name"] = name
        meta.pop("namespace", None)
        if kind.namespaced:
            meta["namespace"] = namespace
        return obj

    def _check(self, kind: ResourceKind, obj: Object) -> None:
        name = obj["metadata"].get("name", "")
        if not _NAME.match(name):
            raise invalid(kind.name, name, {"metadata.name": f"{name!r} is no name for an object"})
        if kind.storage not in _BUILT_IN and (kind.group, kind.name) not in EMULATED:
            why = f"objects of kind {kind.name} are not emulated: they would have no effect"
            raise invalid(kind.name, name, {"kind": why})
        if refused := field_allow_list.refusals(kind, obj):
            raise invalid(kind.name, name, refused)
        defaults.fill(kind, obj)
