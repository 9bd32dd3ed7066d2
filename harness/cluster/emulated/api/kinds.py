"""The kinds that the emulated API serves: built-in ones, and those of CustomResourceDefinitions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

GATEWAY = "gateway.networking.k8s.io"
ENVOY_GATEWAY = "gateway.envoyproxy.io"
ISTIO_SECURITY = "security.istio.io"


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind in one version. Versions of a kind share storage: `storage` is what objects are kept under."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    generations: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(name: str, plural: str, *, namespaced: bool = True, subresources: tuple[str, ...] = ()) -> ResourceKind:
    return ResourceKind("", "v1", name, plural, namespaced, subresources, generations=name == "Pod")


BUILT_IN = (
    _core("Namespace", "namespaces", namespaced=False),
    _core("Node", "nodes", namespaced=False),
    _core("Pod", "pods", subresources=("log", "exec")),
    _core("Service", "services"),
    _core("ConfigMap", "configmaps"),
    _core("Secret", "secrets"),
    _core("ServiceAccount", "serviceaccounts"),
    _core("Event", "events"),
    ResourceKind("apps", "v1", "Deployment", "deployments", generations=True),
    ResourceKind("apps", "v1", "ReplicaSet", "replicasets", generations=True),
    ResourceKind("apps", "v1", "DaemonSet", "daemonsets", generations=True),
    ResourceKind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", generations=True),
    ResourceKind(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False, generations=True
    ),
    # Of Istio's base chart, whose other definitions nothing here acts on.
    ResourceKind(ISTIO_SECURITY, "v1", "AuthorizationPolicy", "authorizationpolicies", generations=True),
)

# Custom kinds that a controller here acts on. Objects of any other custom kind are refused: they would have no effect.
EMULATED = frozenset(
    {
        (GATEWAY, "GatewayClass"),
        (GATEWAY, "Gateway"),
        (GATEWAY, "HTTPRoute"),
        (GATEWAY, "ReferenceGrant"),
        (ENVOY_GATEWAY, "BackendTrafficPolicy"),
        (ENVOY_GATEWAY, "ClientTrafficPolicy"),
        (ENVOY_GATEWAY, "EnvoyProxy"),
    }
)


def defined_by(crd: Object) -> list[ResourceKind]:
    """The kinds, one a served version, that a CustomResourceDefinition adds; the preferred (first) one first."""
    spec = crd["spec"]
    names, namespaced = spec["names"], spec.get("scope", "Namespaced") == "Namespaced"
    return [
        ResourceKind(spec["group"], v["name"], names["kind"], names["plural"], namespaced, generations=True)
        for v in spec["versions"]
        if v.get("served", True)
    ]


def slim(crd: Object) -> Object:
    """A CustomResourceDefinition without its schemas: megabytes that nothing here reads."""
    versions = [{k: v for k, v in version.items() if k != "schema"} for version in crd["spec"]["versions"]]
    return crd | {"spec": crd["spec"] | {"versions": versions}}
