"""Tracks the expected state of objects that the harness applied, changed and deleted. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from harness.objects.kind_namespace_name import Ref, ref_of
from harness.objects.patches import merge_patch


class ExpectedObjects:
    """Objects as the harness wants them, by name ("Kind/namespace/name"): only the fields that it wrote. `removed` are
    the names of those that it deleted."""

    def __init__(self) -> None:
        self._documents: dict[str, Mapping[str, Any]] = {}
        self.removed: set[str] = set()

    @property
    def documents(self) -> dict[str, Mapping[str, Any]]:
        """A copy of what is wanted now."""
        return dict(self._documents)

    def applied(self, document: Mapping[str, Any]) -> None:
        """A server-side apply: what was applied before under this name is replaced."""
        self._documents[str(ref_of(document))] = copy.deepcopy(document)
        self.removed.discard(str(ref_of(document)))

    def patched(self, named: Ref, body: Mapping[str, Any]) -> None:
        """A merge patch."""
        metadata = {"name": named.name} | ({"namespace": named.namespace} if named.namespace else {})
        empty = {"apiVersion": named.api_version, "kind": named.kind, "metadata": metadata}
        self._documents[str(named)] = merge_patch(dict(self._documents.get(str(named), empty)), body)

    def deleted(self, named: Ref) -> None:
        """A deletion."""
        self._documents.pop(str(named), None)
        self.removed.add(str(named))
