"""A healthy cluster, as recorded, and what is planted into it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from harness import version_sets, version_sets_from_names
from harness.audit.catalogue import run_audit_checks
from harness.audit.finding import Finding
from harness.audit.read import KINDS
from harness.audit.state import AuditState
from tests import recordings

Object = dict[str, Any]
EG, ISTIO, API = "gateway.envoyproxy.io/v1alpha1", "security.istio.io/v1", "gateway.networking.k8s.io/v1"
FILES = ("btp", "deploy", "gateway", "gatewayclass", "httproute", "pods", "svc", "envoyproxy", "sa")
WAYPOINT_POD = "default/waypoint-8f65994b4-llg5k"
CONFIG = {
    "provider": {"kubernetes": {"deploy": {"type": "GatewayNamespace"}}},
    "rateLimit": {"backend": {"redis": {"url": "redis.redis-system.svc.cluster.local:6379"}}},
}
READY = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}


def obj(kind: str, name: str, namespace: str = "", api: str = "v1", **fields: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})} | fields.pop("metadata", {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def deployment(name: str, namespace: str, image: str, **labels: str) -> Object:
    template = {"spec": {"containers": [{"name": "c", "image": image}]}}
    spec = {"replicas": 1, "template": template}
    return obj("Deployment", name, namespace, "apps/v1", metadata={"labels": labels}, spec=spec, status=READY)


def pod(name: str, namespace: str, *, ready: str = "True", mesh: bool = True, **labels: str) -> Object:
    marks = {"ambient.istio.io/redirection": "enabled"} if mesh else {}
    metadata = {"labels": labels, "annotations": marks, "uid": f"uid-{name}"}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    return obj("Pod", name, namespace, metadata=metadata, spec={"containers": [{"name": "c"}]}, status=status)


def definition(name: str, bundle: str = "v1.4.1", channel: str = "experimental") -> Object:
    marks = {f"gateway.networking.k8s.io/{k}": v for k, v in (("bundle-version", bundle), ("channel", channel))}
    name = f"{name}.gateway.networking.k8s.io"
    return obj("CustomResourceDefinition", name, "", "apiextensions.k8s.io/v1", metadata={"annotations": marks})


@cache
def recorded() -> list[Object]:
    return [one for file in FILES for one in recordings.objects(f"objects/{file}.yaml").values()]


def healthy_objects() -> list[Object]:
    """What was recorded (Istio 1.29.1, Envoy Gateway 1.7.5), and the rest of such a cluster."""
    labels = {"istio.io/dataplane-mode": "ambient"}
    return [
        *copy.deepcopy(recorded()),
        obj("Namespace", "default", metadata={"labels": labels}),
        obj("Namespace", "istio-system"),
        deployment("istiod", "istio-system", "docker.io/istio/pilot:1.29.1-distroless", app="istiod"),
        deployment(
            "envoy-gateway",
            "envoy-gateway-system",
            "docker.io/envoyproxy/gateway:v1.7.5",
            **{"control-plane": "envoy-gateway"},
        ),
        deployment("envoy-ratelimit", "envoy-gateway-system", "docker.io/envoyproxy/ratelimit:f2fb1577"),
        obj("Service", "redis", "redis-system", spec={"clusterIP": "10.96.0.9", "selector": {"app": "redis"}}),
        pod("redis-1", "redis-system", mesh=False, app="redis"),
        pod("ztunnel-1", "istio-system", mesh=False, app="ztunnel"),
        pod("ratings-1", "default", app="ratings"),
        pod("productpage-1", "default", app="productpage"),
        *(definition(name) for name in ("gateways", "httproutes", "gatewayclasses")),
    ]


class Planted:
    """The healthy cluster, to be changed and then judged."""

    def __init__(self) -> None:
        self.objects = healthy_objects()
        self.state = AuditState(
            {},
            config=copy.deepcopy(CONFIG),
            kubernetes="v1.34.4",
            now=datetime(2026, 7, 1, 12, tzinfo=UTC),
            limits=version_sets.load().limits,
            ends={name: one.until for name, one in version_sets_from_names.load().envoy_gateway.items()},
            logs={},
            configs={WAYPOINT_POD: recordings.dump("admin/waypoint-config_dump.json")},
        )

    def get(self, kind: str, name: str) -> Object:
        return next(one for one in self.objects if (one["kind"], one["metadata"]["name"]) == (kind, name))

    def add(self, *those: Object) -> None:
        self.objects += those

    def remove(self, kind: str, name: str) -> None:
        self.objects.remove(self.get(kind, name))

    def built(self, **changes: Any) -> AuditState:
        by_kind = {kind: tuple(one for one in self.objects if one["kind"] == kind) for kind in KINDS}
        return replace(self.state, objects=by_kind, **changes)

    def found(self, **changes: Any) -> list[Finding]:
        return run_audit_checks(self.built(**changes))[0]


Plant = Callable[[Planted], None]
