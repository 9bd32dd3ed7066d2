"""Default values that the API server and the CRDs add to a spec. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, Object, ResourceKind


def fill(kind: ResourceKind, obj: Object) -> None:
    """Fills in an object's defaults, in place."""
    filler = _FILLERS.get(kind.storage)
    if filler:
        filler(obj.setdefault("spec", {}))


def _pod(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in spec.get("containers") or []:
        container.setdefault("resources", {})
        latest = container["image"].endswith(":latest") or ":" not in container["image"].rsplit("/", 1)[-1]
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _bare_pod(spec: Object) -> None:
    _pod(spec)
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]


def _deployment(spec: Object) -> None:
    spec.setdefault("replicas", 1)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    spec.setdefault("strategy", rolling)
    _pod(spec["template"]["spec"])


def _daemon_set(spec: Object) -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    spec.setdefault("updateStrategy", rolling)
    _pod(spec["template"]["spec"])


def _service(spec: Object) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] != "ClusterIP":
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])


def _gateway(spec: Object) -> None:
    for listener in spec.get("listeners") or []:
        listener.setdefault("allowedRoutes", {}).setdefault("namespaces", {}).setdefault("from", "Same")


def _http_route(spec: Object) -> None:
    for parent in spec.get("parentRefs") or []:
        parent.setdefault("group", GATEWAY)
        parent.setdefault("kind", "Gateway")
    root = {"path": {"type": "PathPrefix", "value": "/"}}
    for rule in spec.setdefault("rules", [{"matches": [root]}]):
        for match in rule.setdefault("matches", [root]):
            path = match.setdefault("path", {})
            path.setdefault("type", "PathPrefix")
            path.setdefault("value", "/")
            for header in match.get("headers") or []:
                header.setdefault("type", "Exact")
        for backend in rule.get("backendRefs") or []:
            backend.setdefault("group", "")
            backend.setdefault("kind", "Service")
            backend.setdefault("weight", 1)


def _backend_traffic_policy(spec: Object) -> None:
    if "circuitBreaker" in spec:
        for field in ("maxConnections", "maxPendingRequests", "maxParallelRequests", "maxParallelRetries"):
            spec["circuitBreaker"].setdefault(field, 1024)
    rules: list[Any] = spec.get("rateLimit", {}).get("global", {}).get("rules") or []
    for header in (h for r in rules for s in r.get("clientSelectors") or [] for h in s.get("headers") or []):
        header.setdefault("type", "Exact")
        header.setdefault("invert", False)


def _envoy_proxy(spec: Object) -> None:
    spec.setdefault("logging", {"level": {"default": "warn"}})
    service = spec.get("provider", {}).get("kubernetes", {}).get("envoyService")
    if service is not None:
        service.setdefault("type", "LoadBalancer")
        service.setdefault("externalTrafficPolicy", "Local")


_FILLERS: dict[str, Callable[[Object], None]] = {
    "pods": _bare_pod,
    "services": _service,
    "deployments.apps": _deployment,
    "daemonsets.apps": _daemon_set,
    f"gateways.{GATEWAY}": _gateway,
    f"httproutes.{GATEWAY}": _http_route,
    f"backendtrafficpolicies.{ENVOY_GATEWAY}": _backend_traffic_policy,
    f"envoyproxies.{ENVOY_GATEWAY}": _envoy_proxy,
}
