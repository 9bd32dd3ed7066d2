"""Audit check: Gateways with the same name as an object of an application.

In GatewayNamespace mode Envoy Gateway names the ServiceAccount, ConfigMap, Deployment and Service of a proxy after its
Gateway, in the Gateway's namespace. It takes over what has that name already, and deletes it with the Gateway
(envoyproxy/gateway#9136; measured on 1.7.5 with a ServiceAccount).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState, labels_of, namespace_of, object_name
from harness.audit.waypoint_bindings import envoy_gateways
from harness.objects.unstructured import Json, name_of, objects, text
from harness.objects.workloads import OWNING_GATEWAY

KINDS = ("ServiceAccount", "ConfigMap", "Deployment")
MODE = ("provider", "kubernetes", "deploy", "type")


def names_in_use(state: AuditState) -> Iterable[Result]:
    """Such Gateways, with what they took or would take."""
    if state.config is None:
        return [NotJudged("gateway-name-taken", f"Envoy Gateway's mode is not known: {state.config_unread}")]
    if text(state.config, *MODE) != "GatewayNamespace":
        return []
    return list(_taken(state))


def _taken(state: AuditState) -> Iterable[Result]:
    for gateway in envoy_gateways(state):
        for kind in KINDS:
            other = state.find(kind, namespace_of(gateway), object_name(gateway))
            if other is None:
                continue
            owned = any(text(one, "uid") == text(gateway, "metadata", "uid") for one in _owners(other))
            users = _application_pods(state, other) if kind == "ServiceAccount" else []
            if owned and not users:
                continue  # Envoy Gateway made it
            details = [f"ownerReferences: {', '.join(text(one, 'kind') for one in _owners(other)) or 'none'}"]
            details += [f"used by {name_of(pod)}" for pod in users[:3]]
            yield make_finding(
                "gateway-name-taken",
                "high",
                [gateway, other],
                f"{name_of(gateway)} has the name of {name_of(other)}, which is not a proxy's: Envoy Gateway "
                + ("has taken it over, and deletes it with the Gateway" if owned else "takes it over or fails on it"),
                *details,
            )


def _owners(obj: Json) -> list[Json]:
    return list(objects(obj, "metadata", "ownerReferences"))


def _application_pods(state: AuditState, account: Json) -> list[Json]:
    return [
        pod
        for pod in state.selected(namespace_of(account), {})
        if text(pod, "spec", "serviceAccountName") == object_name(account) and OWNING_GATEWAY not in labels_of(pod)
    ]
