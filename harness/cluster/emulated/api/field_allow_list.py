"""Spec fields with an effect in the emulated cluster. Any other field is refused, never ignored. Pure."""

from __future__ import annotations

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


_TARGET = {"group!": text, "kind!": text, "name!": text, "sectionName": text}
_CONTAINER = dict.fromkeys(
    (
        "args",
        "command",
        "env",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "resources",
        "securityContext",
        "startupProbe",
        "stdin",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "volumeMounts",
        "workingDir",
    ),
    anything,
)
POD: Shape = {
    "containers!": [{"name!": text, "image!": text} | _CONTAINER],
    "nodeName": text,
    "nodeSelector": anything,
    "restartPolicy": one_of("Always"),
    "serviceAccountName": text,
} | dict.fromkeys(
    (
        "automountServiceAccountToken",
        "dnsPolicy",
        "enableServiceLinks",
        "schedulerName",
        "securityContext",
        "serviceAccount",
        "terminationGracePeriodSeconds",
        "tolerations",
        "volumes",
    ),
    anything,
)
_SELECTOR: Shape = {"matchLabels!": anything}
_TEMPLATE: Shape = {"metadata": {"labels": anything, "annotations": anything}, "spec!": POD}
_WORKLOAD: dict[str, Any] = {
    "selector!": _SELECTOR,
    "template!": _TEMPLATE,
    "revisionHistoryLimit": anything,
    "progressDeadlineSeconds": anything,
    "minReadySeconds": number(0, 0),
}
_ROLLING = {"type": one_of("RollingUpdate"), "rollingUpdate": anything}
_CLIENT_HEADER = {
    "name!": text,
    "type": text,
    "value": text,
    "invert": flag,
}
_LIMIT = {"requests!": number(0, 2**32 - 1), "unit!": one_of("Second", "Minute", "Hour", "Day")}
_ENVOY_SERVICE = {
    "type": one_of("ClusterIP", "NodePort", "LoadBalancer"),
    "externalTrafficPolicy": one_of("Local", "Cluster"),
    "patch": {"type": one_of("StrategicMerge"), "value!": anything},
    "labels": anything,
    "annotations": anything,
}
_ENVOY_DEPLOYMENT = {
    "replicas": number(0, 1),
    "pod": {"labels": anything, "annotations": anything},
    "container": {"image": text, "resources": anything},
}

SPECS: dict[str, Shape] = {
    "namespaces": {"finalizers": anything},
    "pods": POD,
    "services": {
        "selector!": anything,
        "ports!": [
            {
                "name": text,
                "port!": number(1, 65535),
                "targetPort": anything,
                "protocol": one_of("TCP"),
                "nodePort": number(30000, 32767),
                "appProtocol": anything,
            }
        ],
        "type": one_of("ClusterIP", "NodePort", "LoadBalancer"),
        "clusterIP": text,
        "clusterIPs": anything,
        "externalTrafficPolicy": one_of("Local", "Cluster"),
        "internalTrafficPolicy": one_of("Cluster"),
        "ipFamilies": anything,
        "ipFamilyPolicy": one_of("SingleStack"),
        "sessionAffinity": one_of("None"),
        "allocateLoadBalancerNodePorts": one_of(True),
        "healthCheckNodePort": anything,
    },
    "deployments.apps": _WORKLOAD | {"replicas": number(0, 9), "strategy": _ROLLING},
    "daemonsets.apps": _WORKLOAD | {"updateStrategy": _ROLLING},
    f"gatewayclasses.{GATEWAY}": {
        "controllerName!": text,
        "description": text,
        "parametersRef": {"group!": text, "kind!": text, "name!": text, "namespace": text},
    },
    f"gateways.{GATEWAY}": {
        "gatewayClassName!": text,
        "infrastructure": {
            "labels": anything,
            "annotations": anything,
            "parametersRef": {"group!": text, "kind!": text, "name!": text},
        },
        "listeners!": [
            {
                "name!": text,
                "port!": number(1, 65535),
                "protocol!": text,  # one that Envoy Gateway lacks gets a condition, as recorded
                "hostname": text,
                "allowedRoutes": {"namespaces": {"from": one_of("Same", "All")}},
            }
        ],
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
                "port": number(1, 65535),
            }
        ],
        "rules": [
            {
                "name": text,
                "timeouts": {"request": text},
                "matches": [
                    {
                        "path": {"type": text, "value": text},
                        "headers": [{"type": text, "name!": text, "value!": text}],
                        "method": text,
                    }
                ],
                "backendRefs": [
                    {
                        "group": one_of(""),
                        "kind": one_of("Service"),
                        "name!": text,
                        "namespace": text,
                        "port": number(1, 65535),
                        "weight": number(0, 1000000),
                    }
                ],
            }
        ],
    },
    f"referencegrants.{GATEWAY}": {"from!": anything, "to!": anything},
    f"backendtrafficpolicies.{ENVOY_GATEWAY}": {
        "targetRefs": [_TARGET],
        "circuitBreaker": dict.fromkeys(
            ("maxConnections", "maxPendingRequests", "maxParallelRequests", "maxParallelRetries"), number(0, 2**32 - 1)
        ),
        "rateLimit": {
            "type": one_of("Global"),
            "global": {"rules!": [{"clientSelectors": [{"headers!": [_CLIENT_HEADER]}], "limit!": _LIMIT}]},
        },
    },
    f"clienttrafficpolicies.{ENVOY_GATEWAY}": {
        "targetRefs": [_TARGET],
        "headers": {"enableEnvoyHeaders": flag, "disableRateLimitHeaders": flag},
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
        "concurrency": number(1, 8),
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
