"""The emulated controllers say of recorded objects what the real ones said, word for word."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Key, Store
from harness.cluster.emulated.controllers.envoy_gateway import EnvoyGateway
from harness.cluster.emulated.controllers.istiod import IstiodController
from harness.cluster.emulated.controllers.services import Services
from harness.cluster.emulated.install import definitions
from tests import recordings

IMAGES = {"envoy": "docker.io/envoyproxy/envoy:distroless-v1.37.5", "gateway": "docker.io/envoyproxy/gateway:v1.7.5"}
NODE = "172.18.0.2"
NEGATIVE = (
    "btp-neg-conflict",
    "btp-neg-missing-target",
    "gatewayclass-neg-class",
    "httproute-neg-cross-ns-backend",
    "httproute-neg-missing-backend",
    "httproute-neg-missing-parent",
    "httproute-neg-missing-section",
    "svc-neg-bogus-waypoint",
)


def put(store: Store, obj: Object, **changes: Any) -> None:
    """Stores an object as it is, its recorded uid, generation and age included."""
    kind = store.named(obj["kind"], obj["apiVersion"].rpartition("/")[0])
    key = Key(kind.storage, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    store._put(kind, key, copy.deepcopy(obj) | changes)


def service(name: str, namespace: str, port: int) -> Object:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {}}
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


@pytest.fixture(scope="module")
def store() -> Store:
    """The recorded objects without their statuses, after the controllers have seen them."""
    return seen(())


@pytest.fixture(scope="module")
def store_with_wrong() -> Store:
    """The same with those that are wrong on purpose."""
    return seen(NEGATIVE)


def seen(negative: Sequence[str]) -> Store:
    store = Store()
    for crd in definitions("1.4.1", "experimental"):
        store.create(store.named("CustomResourceDefinition", "apiextensions.k8s.io"), crd)
    for name in ("default", "redis-system"):
        put(store, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name}})
    for name, port in (("ratings", 9080), ("productpage", 9080)):
        put(store, service(name, "default", port))
        endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}]
        meta = {"name": name, "namespace": "default", "uid": name, "labels": {"kubernetes.io/service-name": name}}
        made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints}
        put(store, made)
    put(store, service("redis", "redis-system", 6379))
    ready = {"readyReplicas": 1, "availableReplicas": 1}
    for name in ("istiod", "envoy-gateway"):
        namespace = {"istiod": "istio-system"}.get(name, "envoy-gateway-system")
        meta = {"name": name, "namespace": namespace, "uid": name}
        put(store, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {}, "status": ready})
    config = {"name": "envoy-gateway-config", "namespace": "envoy-gateway-system", "uid": "config"}
    data = {"envoy-gateway.yaml": "rateLimit: {backend: {type: Redis}}"}
    put(store, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
    proxy = {"type": "Kubernetes", "kubernetes": {"envoyService": {"type": "ClusterIP"}}}
    meta = {"name": "waypoint", "namespace": "default", "uid": "proxy", "generation": 1}
    version = "gateway.envoyproxy.io/v1alpha1"
    put(store, {"apiVersion": version, "kind": "EnvoyProxy", "metadata": meta, "spec": {"provider": proxy}})
    for file in ("objects/gatewayclass.yaml", "objects/gateway.yaml", "objects/httproute.yaml", "objects/btp.yaml"):
        for obj in recordings.objects(file).values():
            put(store, obj, status={})
    for name in negative:
        put(store, recordings.obj(f"negative/{name}.yaml"), status={})
    envoy_gateway = EnvoyGateway(store, IMAGES, lambda *_: True)
    addresses = iter(f"10.96.79.{n}" for n in range(1, 99))
    controllers = (Services(store, lambda: next(addresses)), envoy_gateway, IstiodController(store))
    for _ in range(6):
        for controller in controllers:
            controller.sync()
        deployment = store.find("deployments.apps", "default", "waypoint")
        if deployment and not deployment.get("status"):
            store.update(store.named("Deployment", "apps"), deployment | {"status": ready}, status=True)
    return store


def comparable(status: Any) -> Any:
    """A status without its times and addresses, conditions by their type."""
    if isinstance(status, dict):
        return {
            k: comparable(v) for k, v in status.items() if k not in ("lastTransitionTime", "addresses", "loadBalancer")
        }
    if isinstance(status, list):
        return sorted((comparable(one) for one in status), key=lambda one: json.dumps(one, sort_keys=True))
    return status


@pytest.mark.parametrize("name", NEGATIVE)
def test_what_is_wrong_is_reported_as_recorded(store_with_wrong: Store, name: str) -> None:
    recorded = recordings.obj(f"negative/{name}.yaml")

    assert comparable(found(store_with_wrong, recorded).get("status") or {}) == comparable(recorded.get("status") or {})


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("objects/gatewayclass.yaml", "eg-ingress"),
        ("objects/gatewayclass.yaml", "eg-waypoint"),
        ("objects/gatewayclass.yaml", "istio-waypoint"),
        ("objects/gateway.yaml", "bookinfo-ingress"),
        ("objects/gateway.yaml", "waypoint"),
        ("objects/httproute.yaml", "ingress-bookinfo"),
        ("objects/httproute.yaml", "ratings"),
        ("objects/btp.yaml", "circuit-breaker-btp"),
        ("objects/btp.yaml", "productpage-rate-limiting"),
    ],
)
def test_what_is_right_is_reported_as_recorded(store: Store, file: str, name: str) -> None:
    recorded = recordings.objects(file)[name]

    assert comparable(found(store, recorded)["status"]) == comparable(recorded["status"])


def test_proxy_deployment_bears_the_recorded_labels(store: Store) -> None:
    recorded = recordings.objects("objects/deploy.yaml")["waypoint"]
    made = store.find("deployments.apps", "default", "waypoint")

    assert made is not None
    assert made["metadata"]["labels"] == recorded["metadata"]["labels"]
    assert made["spec"]["selector"] == recorded["spec"]["selector"]
    template, expected = made["spec"]["template"], recorded["spec"]["template"]
    assert template["metadata"]["labels"] == expected["metadata"]["labels"]
    images = [(one["name"], one["image"]) for one in template["spec"]["containers"]]
    assert images == [(one["name"], one["image"]) for one in expected["spec"]["containers"]]


def found(store: Store, recorded: Object) -> Object:
    kind = store.named(recorded["kind"], recorded["apiVersion"].rpartition("/")[0])
    meta = recorded["metadata"]
    obj = store.find(kind.storage, meta.get("namespace", ""), meta["name"])
    assert obj is not None
    return obj
