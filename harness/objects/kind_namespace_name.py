"""Parses and formats object names of the form "Kind/namespace/name". Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Where each kind that the harness or a manifest uses lives: apiVersion, and whether it has a namespace.
KINDS: Mapping[str, tuple[str, bool]] = {
    "Namespace": ("v1", False),
    "Node": ("v1", False),
    "Pod": ("v1", True),
    "Service": ("v1", True),
    "ServiceAccount": ("v1", True),
    "ConfigMap": ("v1", True),
    "Secret": ("v1", True),
    "Event": ("v1", True),
    "Deployment": ("apps/v1", True),
    "DaemonSet": ("apps/v1", True),
    "PodDisruptionBudget": ("policy/v1", True),
    "EndpointSlice": ("discovery.k8s.io/v1", True),
    "Role": ("rbac.authorization.k8s.io/v1", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", False),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io/v1", False),
    "ValidatingAdmissionPolicyBinding": ("admissionregistration.k8s.io/v1", False),
    "GatewayClass": ("gateway.networking.k8s.io/v1", False),
    "Gateway": ("gateway.networking.k8s.io/v1", True),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", True),
    "ReferenceGrant": ("gateway.networking.k8s.io/v1beta1", True),
    "TCPRoute": ("gateway.networking.k8s.io/v1alpha2", True),
    "UDPRoute": ("gateway.networking.k8s.io/v1alpha2", True),
    "TLSRoute": ("gateway.networking.k8s.io/v1alpha3", True),
    "BackendTLSPolicy": ("gateway.networking.k8s.io/v1", True),
    "ListenerSet": ("gateway.networking.k8s.io/v1", True),
    "GRPCRoute": ("gateway.networking.k8s.io/v1", True),
    "EnvoyProxy": ("gateway.envoyproxy.io/v1alpha1", True),
    "BackendTrafficPolicy": ("gateway.envoyproxy.io/v1alpha1", True),
    "ClientTrafficPolicy": ("gateway.envoyproxy.io/v1alpha1", True),
    "SecurityPolicy": ("gateway.envoyproxy.io/v1alpha1", True),
    "IPAddressPool": ("metallb.io/v1beta1", True),
    "L2Advertisement": ("metallb.io/v1beta1", True),
    "EnvoyExtensionPolicy": ("gateway.envoyproxy.io/v1alpha1", True),
    "EnvoyPatchPolicy": ("gateway.envoyproxy.io/v1alpha1", True),
    "HTTPRouteFilter": ("gateway.envoyproxy.io/v1alpha1", True),
    "Backend": ("gateway.envoyproxy.io/v1alpha1", True),
    "ServiceEntry": ("networking.istio.io/v1", True),
    "RequestAuthentication": ("security.istio.io/v1", True),
    "Telemetry": ("telemetry.istio.io/v1", True),
    "AuthorizationPolicy": ("security.istio.io/v1", True),
    "PeerAuthentication": ("security.istio.io/v1", True),
}

UNREAD = frozenset({"Secret"})  # kinds of which suites make some, and which are never read for evidence


@dataclass(frozen=True, slots=True)
class Ref:
    """One object's name."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


def parse_ref(text: str) -> Ref:
    """Reads "Kind/namespace/name" or "Kind/name".

    Raises:
        ValueError: the kind is unknown here, or a namespace is missing or too many.
    """
    kind, *rest = text.split("/")
    if kind not in KINDS:
        raise ValueError(
            f"{text}: kind {kind} is unknown (harness/objects/kind_namespace_name.py lists the known ones)"
        )
    api_version, namespaced = KINDS[kind]
    if len(rest) != (2 if namespaced else 1) or not all(rest):
        raise ValueError(f"{text}: {kind} is named {'Kind/namespace/name' if namespaced else 'Kind/name'}")
    return Ref(kind, rest[-1], rest[0] if namespaced else "", api_version)


def ref_of(obj: Mapping[str, Any]) -> Ref:
    """The name of an object or manifest document."""
    metadata = obj["metadata"]
    return Ref(obj["kind"], metadata["name"], metadata.get("namespace") or "", obj["apiVersion"])
