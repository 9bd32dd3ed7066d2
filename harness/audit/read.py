"""Reads from the cluster everything that an audit needs: object lists, Envoy configuration and, if requested, logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import yaml

from harness import progress, version_sets, version_sets_from_names
from harness.audit.state import AuditState, labels_of, namespace_of
from harness.audit.waypoint_bindings import ENVOY_GATEWAY, controllers
from harness.errors import BadInput, HarnessError
from harness.kube.read_only_client import Kind, ReadOnlyClient
from harness.objects.references import GATEWAY_API
from harness.objects.unstructured import Json, text
from harness.objects.workloads import OWNING_GATEWAY, is_pod_ready, pod_name
from harness.strict_yaml import parse_yaml

KINDS = {
    "Namespace": Kind("", "namespaces", True),
    "Service": Kind("", "services"),
    "Pod": Kind("", "pods"),
    "ServiceAccount": Kind("", "serviceaccounts", True),
    "ConfigMap": Kind("", "configmaps", True),
    "Deployment": Kind("apps", "deployments"),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io", "customresourcedefinitions", True),
    "GatewayClass": Kind(GATEWAY_API, "gatewayclasses"),
    "Gateway": Kind(GATEWAY_API, "gateways"),
    "HTTPRoute": Kind(GATEWAY_API, "httproutes"),
    "GRPCRoute": Kind(GATEWAY_API, "grpcroutes"),
    "TCPRoute": Kind(GATEWAY_API, "tcproutes"),
    "TLSRoute": Kind(GATEWAY_API, "tlsroutes"),
    "UDPRoute": Kind(GATEWAY_API, "udproutes"),
    "EnvoyProxy": Kind(ENVOY_GATEWAY, "envoyproxies"),
    "Backend": Kind(ENVOY_GATEWAY, "backends"),
    "BackendTrafficPolicy": Kind(ENVOY_GATEWAY, "backendtrafficpolicies"),
    "ClientTrafficPolicy": Kind(ENVOY_GATEWAY, "clienttrafficpolicies"),
    "SecurityPolicy": Kind(ENVOY_GATEWAY, "securitypolicies"),
    "EnvoyExtensionPolicy": Kind(ENVOY_GATEWAY, "envoyextensionpolicies"),
    "EnvoyPatchPolicy": Kind(ENVOY_GATEWAY, "envoypatchpolicies"),
    "AuthorizationPolicy": Kind("security.istio.io", "authorizationpolicies"),
    "RequestAuthentication": Kind("security.istio.io", "requestauthentications"),
    "PeerAuthentication": Kind("security.istio.io", "peerauthentications"),
    "Telemetry": Kind("telemetry.istio.io", "telemetries"),
    "WasmPlugin": Kind("extensions.istio.io", "wasmplugins"),
    "ServiceEntry": Kind("networking.istio.io", "serviceentries"),
}
CONFIG, KEY = "envoy-gateway-config", "envoy-gateway.yaml"
MESH, REVISION = "istio", "istio.io/rev"  # istiod's ConfigMap; of a revision "istio-REVISION"
PODS = 100  # Envoys whose active configuration is read: each takes a port-forward, a second or so
LINES, BYTES = 2000, 4_000_000  # of a log: bind failures come every 5 s, so the end of it is enough


def read_state(
    reader: ReadOnlyClient, *, logs: bool = False, dump: Callable[[str, str], Json] | None = None
) -> AuditState:
    """Reads a cluster: each kind once, with `logs` the end of one log for each ztunnel and Envoy pod, and with `dump`
    (by namespace and pod) the active configuration of each ready Envoy pod, of PODS at most.

    Raises:
        ApiUnavailable: the server did not answer its version: nothing is known.
        BadInput: not one kind could be read.
    """
    kubernetes = reader.read_version()
    # Configurations before routes and policies: what goes meanwhile is not missed there, what comes is young.
    found = reader.read({"Pod": KINDS["Pod"]})
    configs, undumped = _configs(dump, found.objects) if dump else (None, {})
    found = reader.read({kind: where for kind, where in KINDS.items() if kind != "Pod"}, found)
    objects, unread = found.objects, found.unread
    if not objects.keys() - found.not_served:
        raise BadInput(
            f"nothing could be read: {next(iter(unread.values()), 'no kind is served')}",
            remedy="`mesh-e2e audit --rbac` prints the ClusterRole that an audit needs",
        )
    config, why = read_controller_config(reader, AuditState(objects, unread))
    istiods = [one for one in objects.get("Deployment", ()) if labels_of(one).get("app") == "istiod"]
    mesh, _ = read_mesh_configs(reader, istiods)  # without it istiod's namespace counts as the mesh's root
    read_logs, lost = _logs(reader, objects) if logs else (None, {})
    return AuditState(
        objects,
        unread,
        frozenset(found.not_served),
        read_logs,
        lost,
        configs,
        undumped,
        config,
        why,
        kubernetes,
        datetime.now(UTC),
        version_sets.load().limits,
        {name: one.until for name, one in version_sets_from_names.load().envoy_gateway.items()},
        mesh,
    )


def read_controller_config(reader: ReadOnlyClient, state: AuditState) -> tuple[Json | None, str]:
    """Envoy Gateway's own configuration, or why it is not known."""
    if "Deployment" not in state.objects:
        return None, state.unread.get("Deployment", "Deployments were not read")
    homes = sorted({namespace_of(one) for one in controllers(state)})
    if len(homes) != 1:
        return None, f"{len(homes)} namespaces have a Deployment with label control-plane=envoy-gateway"
    try:
        found = reader.get(f"/api/v1/namespaces/{homes[0]}/configmaps/{CONFIG}")
        loaded = parse_yaml(text(found, "data", KEY))
    except (HarnessError, yaml.YAMLError) as error:
        return None, str(error.args[0] if error.args else error)
    return (loaded, "") if isinstance(loaded, dict) else (None, f"ConfigMap {homes[0]}/{CONFIG} has no {KEY}")


def read_mesh_configs(reader: ReadOnlyClient, istiods: Iterable[Json]) -> tuple[dict[str, Json], dict[str, str]]:
    """Istio's mesh configuration of each istiod, by "namespace/name" of its ConfigMap; and why one is not known."""
    found: dict[str, Json] = {}
    lost: dict[str, str] = {}
    for one in istiods:
        revision = text(labels_of(one), REVISION)
        name = f"{MESH}-{revision}" if revision not in ("", "default") else MESH
        where = f"{namespace_of(one)}/{name}"
        try:
            config = reader.get(f"/api/v1/namespaces/{namespace_of(one)}/configmaps/{name}")
            loaded = parse_yaml(text(config, "data", "mesh") or "{}")
            found[where] = loaded if isinstance(loaded, dict) else {}
        except (HarnessError, yaml.YAMLError) as error:
            lost[where] = str(error.args[0] if error.args else error)
    return found, lost


def _configs(
    dump: Callable[[str, str], Json], objects: dict[str, tuple[Json, ...]]
) -> tuple[dict[str, Json], dict[str, str]]:
    found: dict[str, Json] = {}
    lost: dict[str, str] = {}
    pods = [pod for pod in objects.get("Pod", ()) if _container(pod) == "envoy" and is_pod_ready(pod)]
    for pod in pods:
        progress.awaiting("reads active configurations", pod_name(pod))
        if len(found) + len(lost) == PODS:
            lost[f"{len(pods) - PODS} more pods"] = f"{PODS} were read"
            break
        try:
            found[pod_name(pod)] = dump(text(pod, "metadata", "namespace"), text(pod, "metadata", "name"))
        except (HarnessError, ValueError) as error:
            lost[pod_name(pod)] = str(error.args[0] if error.args else error)
    return found, lost


def _logs(reader: ReadOnlyClient, objects: dict[str, tuple[Json, ...]]) -> tuple[dict[str, str], dict[str, str]]:
    found: dict[str, str] = {}
    lost: dict[str, str] = {}
    for pod in objects.get("Pod", ()):
        container = _container(pod)
        if not container:
            continue
        try:
            found[pod_name(pod)] = reader.read_log(
                text(pod, "metadata", "namespace"),
                text(pod, "metadata", "name"),
                container,
                lines=LINES,
                limit=BYTES,
            )
        except HarnessError as error:
            lost[pod_name(pod)] = error.args[0]
    return found, lost


def _container(pod: Json) -> str:
    """The container whose log is read; "" for pods whose log is not ours to read."""
    of = pod.get("metadata", {}).get("labels") or {}
    return "istio-proxy" if of.get("app") == "ztunnel" else "envoy" if OWNING_GATEWAY in of else ""
