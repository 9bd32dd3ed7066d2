"""A cluster on which all can be judged, in objects, and what is changed of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.audit.state import AuditState
from harness.preflight.facts import Facts
from harness.preflight.required_rights import READ
from tests.audit.planted import CONFIG, Object, deployment, healthy_objects, obj

ROLLED = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2}
ROLLED |= {"numberReady": 2, "numberAvailable": 2}
EG = "gateway.envoyproxy.io/v1alpha1"
INFO = {"operatingSystem": "linux", "architecture": "amd64"}


def daemon_set(name: str, namespace: str, image: str, *env: tuple[str, str], **labels: str) -> Object:
    variables = [{"name": key, "value": value} for key, value in env]
    container = {"name": "c", "image": image, "env": variables}
    spec = {"template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
    return obj("DaemonSet", name, namespace, "apps/v1", spec=spec, status=ROLLED)


def node(name: str, *taints: tuple[str, str], system: str = "linux") -> Object:
    spec = {"taints": [{"key": key, "effect": effect} for key, effect in taints]}
    ready = {"type": "Ready", "status": "True"}
    return obj("Node", name, spec=spec, status={"nodeInfo": INFO | {"operatingSystem": system}, "conditions": [ready]})


def lease(name: str, renewed: str, written: str = "2026-11-28T00:20:10Z") -> Object:
    """A node's Lease: renewed by the node's clock, written by the API server's."""
    fields = [{"manager": "kubelet", "operation": "Update", "time": written}]
    one = obj("Lease", name, "kube-node-lease", "coordination.k8s.io/v1", spec={"renewTime": renewed})
    one["metadata"]["managedFields"] = fields
    return one


def limiter(*env: tuple[str, str]) -> Object:
    one = deployment(
        "envoy-ratelimit", "envoy-gateway-system", "ratelimit:1", **{"app.kubernetes.io/name": "envoy-ratelimit"}
    )
    one["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": key, "value": value} for key, value in env]
    return one


def objects() -> list[Object]:
    """Two nodes, the mesh, Envoy Gateway with its classes, and a rate limit service that publishes every second."""
    control = ("node-role.kubernetes.io/control-plane", "NoSchedule")
    found = [one for one in healthy_objects() if one["metadata"]["name"] != "envoy-ratelimit"]
    for one in found:
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "istiod":
            one["metadata"]["labels"]["istio.io/rev"] = "default"
    ours = [one for one in found if one["kind"] not in ("GatewayClass", "EnvoyProxy")]
    parameters = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "namespace": "default"}
    for name in ("ingress", "waypoint"):
        spec = {
            "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
            "parametersRef": parameters | {"name": name},
        }
        ours.append(obj("GatewayClass", f"eg-{name}", "", "gateway.networking.k8s.io/v1", spec=spec))
        args = {"extraArgs": ["--file-flush-interval-msec", "200"]}
        ours.append(obj("EnvoyProxy", name, "default", EG, spec=args | {"provider": {"type": "Kubernetes"}}))
    return [
        *ours,
        node("control-plane", control),
        node("worker-1"),
        node("worker-2"),
        daemon_set("ztunnel", "istio-system", "istio/ztunnel:1.29.1", ("RUST_LOG", "info"), app="ztunnel"),
        daemon_set("istio-cni-node", "istio-system", "istio/install-cni:1.29.1", **{"k8s-app": "istio-cni-node"}),
        limiter(("STATS_FLUSH_INTERVAL", "1s")),
    ]


class Cluster:
    """That cluster, to be changed and then judged."""

    def __init__(self) -> None:
        self.objects = objects()
        self.config: Object | None = CONFIG
        self.unread: dict[str, str] = {}
        self.changes: dict[str, Any] = {}

    def get(self, kind: str, name: str) -> Object:
        return next(one for one in self.objects if (one["kind"], one["metadata"]["name"]) == (kind, name))

    def remove(self, kind: str, name: str) -> None:
        self.objects.remove(self.get(kind, name))

    def add(self, *those: Object) -> None:
        self.objects += those

    @property
    def facts(self) -> Facts:
        read = {k: tuple(one for one in self.objects if one["kind"] == k) for k in READ if k not in self.unread}
        state = AuditState(read, self.unread, config=self.config, kubernetes="v1.34.4")
        return replace(Facts(state, "default", mesh={"istio-system/istio": {}}, clock=0.3), **self.changes)


Plant = Callable[[Cluster], None]
