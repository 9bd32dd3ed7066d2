"""Fields of Gateway API and Envoy Gateway objects with an effect here. All others are rejected. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cluster.emulated.network.model import Json

Fields = Mapping[str, "Fields | None"]


class Unsupported(Exception):
    """A field that the emulator does not carry out: `field` is its path (".spec.rateLimit.local") in `kind` `name`."""

    def __init__(self, obj: Json, field: str, why: str = "") -> None:
        self.kind = str(obj.get("kind", ""))
        self.name = str(obj.get("metadata", {}).get("name", ""))
        self.field = field
        reason = f": {why}" if why else ""
        super().__init__(f"{self.kind} {self.name}: the emulated cluster does not carry out {field}{reason}")


_ANY: Fields = {"*": None}  # whatever is below
_TARGET: Fields = {"group": None, "kind": None, "name": None}
_HEADER: Fields = {"name": None, "type": None, "value": None}
_KUBERNETES: Fields = {
    "envoyService": {"type": None, "patch": _ANY, "externalTrafficPolicy": None},
    "envoyDeployment": {"replicas": None, "container": {"resources": _ANY}, "pod": {"labels": _ANY}},
    "useListenerPortAsContainerPort": None,
}
_SPECS: Mapping[str, Fields] = {
    "Gateway": {
        "gatewayClassName": None,
        "infrastructure": _ANY,
        "listeners": {
            "name": None,
            "port": None,
            "protocol": None,
            "hostname": None,
            "allowedRoutes": _ANY,
        },
    },
    "HTTPRoute": {
        "parentRefs": {
            **_TARGET,
            "namespace": None,
            "sectionName": None,
            "port": None,
        },
        "hostnames": None,
        "rules": {
            "name": None,
            "matches": {
                "path": {"type": None, "value": None},
                "headers": _HEADER,
                "method": None,
            },
            "timeouts": {"request": None},
            "backendRefs": {**_TARGET, "namespace": None, "port": None, "weight": None},
        },
    },
    "BackendTrafficPolicy": {
        "targetRef": _TARGET,
        "targetRefs": _TARGET,
        "circuitBreaker": {
            "maxConnections": None,
            "maxPendingRequests": None,
            "maxParallelRequests": None,
            "maxParallelRetries": None,
        },
        "rateLimit": {
            "type": None,
            "global": {
                "rules": {
                    "clientSelectors": {"headers": {**_HEADER, "invert": None}},
                    "limit": {"requests": None, "unit": None},
                }
            },
        },
    },
    "ClientTrafficPolicy": {
        "targetRef": _TARGET,
        "targetRefs": _TARGET,
        "headers": {"enableEnvoyHeaders": None, "disableRateLimitHeaders": None},
    },
    "EnvoyProxy": {
        "concurrency": None,
        "extraArgs": None,
        "logging": {"level": _ANY},
        "provider": {"type": None, "kubernetes": _KUBERNETES},
    },
}
_VALUES: Mapping[str, frozenset[str]] = {
    # Values that Envoy Gateway answers with a status are not here: the controllers judge those.
    "HTTPRoute.spec.rules.matches.path.type": frozenset({"Exact", "PathPrefix", "RegularExpression"}),
    "HTTPRoute.spec.rules.matches.headers.type": frozenset({"Exact", "RegularExpression"}),
    "BackendTrafficPolicy.spec.rateLimit.type": frozenset({"Global"}),
    "BackendTrafficPolicy.spec.rateLimit.global.rules.clientSelectors.headers.type": frozenset(
        {"Exact", "RegularExpression", "Distinct"}
    ),
}


def check(obj: Json) -> None:
    """Reads a Gateway, HTTPRoute, BackendTrafficPolicy, ClientTrafficPolicy or EnvoyProxy to its last field.

    Raises:
        Unsupported: it is of another kind, or has a field that would have no effect; for the API server's 422.
    """
    fields = _SPECS.get(str(obj.get("kind")))
    if fields is None:
        raise Unsupported(obj, ".kind", "not one that is translated")
    _walk(obj, ".spec", obj.get("spec") or {}, fields)
    for i, rule in enumerate(_rules(obj)):
        if len(rule.get("clientSelectors") or ()) > 1:
            raise Unsupported(obj, f".spec.rateLimit.global.rules[{i}].clientSelectors", "more than one")


def _rules(obj: Json) -> list[Json]:
    limit = (obj.get("spec") or {}).get("rateLimit") or {}
    rules: list[Json] = (limit.get("global") or {}).get("rules") or []
    return rules


def _walk(obj: Json, path: str, value: Any, fields: Fields | None) -> None:
    if isinstance(value, list):
        for i, item in enumerate(value):
            _walk(obj, f"{path}[{i}]", item, fields)
        return
    plain = "".join(part.partition("]")[2] or part for part in path.split("["))
    allowed = _VALUES.get(f"{obj['kind']}{plain}")
    if allowed and value not in allowed:
        raise Unsupported(obj, path, f"{value!r}")
    if fields is None or "*" in fields or not isinstance(value, dict):
        return
    for key, below in value.items():
        if key not in fields:
            raise Unsupported(obj, f"{path}.{key}")
        _walk(obj, f"{path}.{key}", below, fields[key])
