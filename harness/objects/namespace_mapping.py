"""Moves manifests written for namespace `default` to the namespace and domain of a run. Pure.

Manifests and suites are written as the article is: for namespace `default`, trust domain and cluster domain
`cluster.local`. On somebody else's cluster they live in a namespace of their own. Objects of no namespace are then
named after it and labelled, so that two runs with different namespaces share a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.objects.kind_namespace_name import KINDS, Ref

Document = dict[str, Any]
WRITTEN = "default"  # the namespace that manifests and suites are written for
FURTHER = ("elsewhere",)  # more namespaces that manifests make
CLASS_PREFIX = "eg-"  # of each GatewayClass that manifests make
WRITTEN_DOMAIN = "cluster.local"  # both of the mesh and of the cluster's DNS
MANAGED_BY = {"app.kubernetes.io/managed-by": "mesh-e2e"}
INSTANCE = "app.kubernetes.io/instance"  # with the run's namespace as its value

_NAMESPACES = "|".join((WRITTEN, *FURTHER))
_NAMESPACE_KEYS = ("namespace", "istio.io/use-waypoint-namespace", "kubernetes.io/metadata.name")
_NAMESPACE_LISTS = ("namespaces", "notNamespaces")
# Inside of longer text: "ratings.default", "ratings.default.svc.cluster.local:9080"; "…/ns/default/sa/x";
# "default/bookinfo-ingress/ingress", "httproute/default/ratings/rule/0".
_IN_HOST = re.compile(rf"(?<=[A-Za-z0-9*]\.)({_NAMESPACES})(?=\.svc(?:[.:/]|$)|[:/]|$)")
_IN_IDENTITY = re.compile(rf"(?<=/ns/)({_NAMESPACES})(?=/|$)")
_IN_XDS_NAME = re.compile(rf"^((?:[a-z]+route|securitypolicy|envoyextensionpolicy)/)?({_NAMESPACES})(?=/)")
# The same in names that suites use: also "Service/default/ratings", "Namespace/default", and the namespace alone.
_IN_OBJECT_NAME = re.compile(rf"^((?:[A-Z]\w+/)?)({_NAMESPACES})(?=/|$)")
_CLASS_NAME = re.compile(rf"^GatewayClass/(?={CLASS_PREFIX})")
_SVC_DOMAIN = re.compile(rf"(?<=\.svc\.){re.escape(WRITTEN_DOMAIN)}(?![\w.-])")
_TRUST_DOMAIN = re.compile(rf"(?<![\w.-]){re.escape(WRITTEN_DOMAIN)}(?=/ns/)")


@dataclass(frozen=True)
class Placement:
    """Where a run lives: its namespace, the mesh's trust domain, the domain of the cluster's DNS."""

    namespace: str = WRITTEN
    trust_domain: str = WRITTEN_DOMAIN
    cluster_domain: str = WRITTEN_DOMAIN

    @cached_property
    def namespaces(self) -> frozenset[str]:
        """All namespaces that suites use."""
        return frozenset(map(self._namespace, (WRITTEN, *FURTHER)))

    def has(self, named: Ref) -> bool:
        """Whether an object of this name is of this placement: in one of its namespaces, one of these, or a
        GatewayClass named after it."""
        if named.kind == "Namespace":
            return named.name in self.namespaces
        if not named.namespace:
            return named.kind == "GatewayClass" and named.name.startswith(self._class(CLASS_PREFIX))
        return named.namespace in self.namespaces

    def documents(self, written: Iterable[Document]) -> list[Document]:
        """Each of them moved."""
        return [self.document(one) for one in written]

    def document(self, written: Document) -> Document:
        """A copy of an object, moved: its namespace, references, host names, identities and xDS names. One without a
        namespace is named after the run's, and labelled."""
        moved: Document = self._value(written)
        metadata = moved["metadata"]
        if moved["kind"] == "Namespace":
            metadata["name"] = self._namespace(metadata["name"])
        elif moved["kind"] == "GatewayClass":
            metadata["name"] = self._class(metadata["name"])
        if self.namespace != WRITTEN and not KINDS.get(moved["kind"], ("", True))[1]:
            metadata["labels"] = {**metadata.get("labels", {}), **self.labels}
        return moved

    @property
    def labels(self) -> Mapping[str, str]:
        """What marks an object without a namespace as made by a run of this placement."""
        return {**MANAGED_BY, INSTANCE: self.namespace}

    def text(self, written: str) -> str:
        """A name, moved: "Service/default/ratings", "GatewayClass/eg-ingress", "ratings.default", a URL, a SPIFFE id,
        "httproute/default/ratings/rule/0", or "default" alone."""
        moved = _IN_OBJECT_NAME.sub(lambda found: found[1] + self._namespace(found[2]), written)
        return self._name(_CLASS_NAME.sub(f"GatewayClass/{self._class('')}", moved) if moved == written else moved)

    def _value(self, value: Any, key: str = "", within: str = "") -> Any:
        """A value of an object, by its key and, in a list, by the key of that list."""
        if isinstance(value, Mapping):
            if value.get("key") in _NAMESPACE_KEYS and isinstance(value.get("values"), list):  # a matchExpression
                return {**value, "values": [self._namespace(one) for one in value["values"]]}
            return {name: self._value(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self._value(one, within=key) for one in value]
        if not isinstance(value, str):
            return value
        if key in _NAMESPACE_KEYS or within in _NAMESPACE_LISTS:
            return self._namespace(value)
        return self._class(value) if key == "gatewayClassName" else self._name(value)

    def _name(self, text: str) -> str:
        for pattern in (_IN_HOST, _IN_IDENTITY):
            text = pattern.sub(lambda found: self._namespace(found[1]), text)
        text = _IN_XDS_NAME.sub(lambda found: (found[1] or "") + self._namespace(found[2]), text)
        return _TRUST_DOMAIN.sub(self.trust_domain, _SVC_DOMAIN.sub(self.cluster_domain, text))

    def _namespace(self, written: str) -> str:
        if written == WRITTEN:
            return self.namespace
        return f"{self.namespace}-{written}" if written in FURTHER and self.namespace != WRITTEN else written

    def _class(self, written: str) -> str:
        ours = self.namespace != WRITTEN and (written.startswith(CLASS_PREFIX) or not written)
        return f"{self.namespace}-{written}" if ours else written


AS_WRITTEN = Placement()
