"""Spec fields with an effect in the emulated cluster. Any other field is refused, never ignored. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, ISTIO_SECURITY, Object, ResourceKind

Check = Callable[[Any], str]  # what is wrong with a value, or an empty string
Shape = Mapping[str, Any] | list[Any] | Check


def anything(_: Any) -> str:
    return ""


def one_of(*allowed: Any) -> Check:
    listed = ", ".join(repr(value) for value in allowed)
    return lambda value: "" if value in allowed else f"{value!r} is not emulated (only {listed})"


def number(low: int, high: int) -> Check:
    def check(value: Any) -> str:
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return "" if right else f"must be a number from {low} to {high}, not {value!r}"

    return check


def text(value: Any) -> str:
    return "" if isinstance(value, str) and value else f"must be a text, not {value!r}"


def flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {value!r}"


def envoy_arguments(value: Any) -> str:
    """Envoy's own arguments: the interval between two writes of the access log alone."""
    right = isinstance(value, list) and len(value) == 2 and value[0] == "--file-flush-interval-msec"
    return "" if right and str(value[1]).isdigit() else f"{value!r} is not emulated (only --file-flush-interval-msec N)"


def header(*types: str) -> dict[str, Shape]:
    return {"name!": text, "type": one_of(*types), "value": text}


def at_most_one(shape: Shape) -> Check:
    """A list of one item at most."""

    def check(value: Any) -> str:
        if not isinstance(value, list) or len(value) > 1:
            return f"must be a list of at most one item, not {value!r}"
        return "; ".join(problems(value, [shape], "").values())

    return check


def duration(value: Any) -> str:
    return "" if re.fullmatch(r"[0-9.]+(ms|s|m|h)", str(value)) else f"must be a duration such as 2s, not {value!r}"


def every(check: Shape, names: str) -> dict[str, Shape]:
    return dict.fromkeys(names.split(), check)


def problems(value: Any, shape: Shape, at: str) -> dict[str, str]:
    """Each field below `at` that is not in the shape or is wrong, with why."""
    if callable(shape):
        why = shape(value)
        return {at: why} if why else {}
    found: dict[str, str] = {}
    if isinstance(shape, list):
        if not isinstance(value, list):
            return {at: f"must be a list, not {value!r}"}
        for index, item in enumerate(value):
            found |= problems(item, shape[0], f"{at}[{index}]")
        return found
    if not isinstance(value, dict):
        return {at: f"must be an object, not {value!r}"}
    for key, below in value.items():
        if key in shape:
            found |= problems(below, shape[key], f"{at}.{key}")
        elif f"{key}!" in shape:
            found |= problems(below, shape[f"{key}!"], f"{at}.{key}")
        else:
            found[f"{at}.{key}"] = "this field is not emulated: it would have no effect"
    for key in shape:
        if key.endswith("!") and key[:-1] not in value:
            found[f"{at}.{key[:-1]}"] = "Required value"
    return found


_TARGET = every(text, "group! kind! name!")
_PORT = number(1, 65535)
_BIG = number(0, 2**32 - 1)
_CONTAINER = {"name!": text, "image!": text} | every(
    anything,
    "args command env imagePullPolicy lifecycle livenessProbe ports readinessProbe resources securityContext"
    " startupProbe stdin terminationMessagePath terminationMessagePolicy tty volumeMounts workingDir",
)
POD: Shape = {
    "containers!": [_CONTAINER],
    "nodeName": text,
    "restartPolicy": one_of("Always"),
    "serviceAccountName": text,
} | every(
    anything,
    "automountServiceAccountToken dnsPolicy enableServiceLinks nodeSelector schedulerName securityContext"
    " serviceAccount priorityClassName terminationGracePeriodSeconds tolerations volumes",
)
_WORKLOAD: dict[str, Any] = {
    "selector!": {"matchLabels!": anything},
    "template!": {"metadata": every(anything, "labels annotations"), "spec!": POD},
    "minReadySeconds": number(0, 0),
} | every(anything, "revisionHistoryLimit progressDeadlineSeconds")
_ROLLING = {"type": one_of("RollingUpdate"), "rollingUpdate": anything}
_LIMIT = {"requests!": _BIG, "unit!": one_of("Second", "Minute", "Hour", "Day")}
_CLIENT_HEADER = header("Exact", "RegularExpression", "Distinct") | {"invert": flag}
_ENVOY_SERVICE = {
    "type": one_of("ClusterIP", "NodePort", "LoadBalancer"),
    "externalTrafficPolicy": one_of("Local", "Cluster"),
    "patch": {"type": one_of("StrategicMerge"), "value!": anything},
}
_ENVOY_DEPLOYMENT = {
    "replicas": number(0, 1),
    "pod": {"labels": anything},
    "container": {"resources": anything},
}

_LISTENER = {
    "name!": text,
    "port!": _PORT,
    "protocol!": one_of("HTTP", "TCP"),
    "hostname": text,
    "allowedRoutes": {"namespaces": {"from": one_of("Same", "All")}},
}


def listeners(value: Any) -> str:
    """A Gateway's listeners, of which no two may conflict."""
    if found := problems(value, [_LISTENER], ""):
        return "; ".join(f"{field}: {why}" for field, why in found.items())
    by_port: dict[int, list[Any]] = {}
    for one in value:
        by_port.setdefault(one["port"], []).append(one)
    for port, group in by_port.items():
        if len({one["protocol"] for one in group}) > 1 or len({one.get("hostname", "") for one in group}) < len(group):
            return f"listeners that conflict on port {port} are not emulated"
    return ""


SPECS: dict[str, Shape] = {
    "namespaces": {"finalizers": anything},
    "pods": POD,
    "services": every(anything, "clusterIPs healthCheckNodePort ipFamilies")
    | {
        "selector!": anything,
        "ports!": [
            {
                "name": text,
                "port!": _PORT,
                "targetPort": anything,
                "protocol": one_of("TCP"),
                "nodePort": number(30000, 32767),
                "appProtocol": anything,
            }
        ],
        "type": one_of("ClusterIP", "NodePort", "LoadBalancer"),
        "clusterIP": text,
        "externalTrafficPolicy": one_of("Local", "Cluster"),
        "internalTrafficPolicy": one_of("Cluster"),
        "ipFamilyPolicy": one_of("SingleStack"),
        "sessionAffinity": one_of("None"),
        "allocateLoadBalancerNodePorts": one_of(True),
    },
    "deployments.apps": _WORKLOAD | {"replicas": number(0, 9), "strategy": _ROLLING},
    "daemonsets.apps": _WORKLOAD | {"updateStrategy": _ROLLING},
    f"gatewayclasses.{GATEWAY}": {
        "controllerName!": text,
        "description": text,
        "parametersRef": _TARGET | {"namespace": text},
    },
    f"gateways.{GATEWAY}": {
        "gatewayClassName!": text,
        "infrastructure": {"parametersRef": _TARGET} | every(anything, "labels annotations"),
        "listeners!": listeners,
    },
    f"httproutes.{GATEWAY}": {
        "hostnames": [text],
        "parentRefs": [
            {
                "group": text,
                "kind": one_of("Gateway"),
                "name!": text,
                "namespace": text,
                "sectionName": text,
                "port": _PORT,
            }
        ],
        "rules": [
            {
                "name": text,
                "timeouts": {"request": duration},
                "matches": [
                    {
                        "path": {"type": one_of("Exact", "PathPrefix", "RegularExpression"), "value": text},
                        "headers": [header("Exact", "RegularExpression")],
                        "method": text,
                    }
                ],
                "backendRefs": [
                    {
                        "group": one_of(""),
                        "kind": one_of("Service"),
                        "name!": text,
                        "namespace": text,
                        "port": _PORT,
                        "weight": number(0, 1000000),
                    }
                ],
            }
        ],
    },
    f"referencegrants.{GATEWAY}": {"from!": anything, "to!": anything},
    f"backendtrafficpolicies.{ENVOY_GATEWAY}": {
        "targetRefs": [_TARGET],
        "circuitBreaker": every(_BIG, "maxConnections maxPendingRequests maxParallelRequests maxParallelRetries"),
        "rateLimit": {
            "type": one_of("Global"),
            "global": {"rules!": [{"clientSelectors": at_most_one({"headers!": [_CLIENT_HEADER]}), "limit!": _LIMIT}]},
        },
    },
    f"clienttrafficpolicies.{ENVOY_GATEWAY}": {
        "targetRefs": [_TARGET],
        "headers": every(flag, "enableEnvoyHeaders disableRateLimitHeaders"),
    },
    f"authorizationpolicies.{ISTIO_SECURITY}": {
        "selector!": {"matchLabels!": anything},
        "action!": one_of("ALLOW"),
        "rules!": [{"from!": [{"source!": {"principals!": [text]}}]}],
    },
    f"envoyproxies.{ENVOY_GATEWAY}": {
        "provider": {
            "type!": one_of("Kubernetes"),
            "kubernetes": {
                "envoyService": _ENVOY_SERVICE,
                "envoyDeployment": _ENVOY_DEPLOYMENT,
                "useListenerPortAsContainerPort": flag,
            },
        },
        "concurrency": one_of(1),
        "extraArgs": envoy_arguments,
        "logging": {"level": anything},
    },
}


def refusals(kind: ResourceKind, obj: Object) -> dict[str, str]:
    """Each field of an object's spec that is refused, with why; empty for an object that can be taken."""
    shape = SPECS.get(kind.storage)
    if shape is None:
        return {}
    if kind.name == "ReferenceGrant" or "spec" in obj:
        return problems(obj.get("spec", {}), shape, "spec")
    return {} if kind.storage == "namespaces" else {"spec": "Required value"}
