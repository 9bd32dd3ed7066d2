"""The Kubernetes objects of the proxy that Envoy Gateway creates for a Gateway."""

from __future__ import annotations

from typing import Any

from harness.cluster.emulated.api import defaults
from harness.cluster.emulated.api.kinds import BUILT_IN, GATEWAY, Object
from harness.cluster.emulated.controllers.conditions import at
from harness.cluster.emulated.network.translate import container_port
from harness.cluster.emulated.recorded import template

_KINDS = {kind.name: kind for kind in BUILT_IN}


def objects(gateway: Object, envoy_proxy: Object | None, images: dict[str, str]) -> list[Object]:
    """ServiceAccount, ConfigMap, Service and Deployment of a Gateway, owned by it."""
    meta, listeners = gateway["metadata"], gateway["spec"]["listeners"]
    account, config, service, deployment = template(
        "proxy", name=meta["name"], namespace=meta["namespace"], envoy=images["envoy"], gateway=images["gateway"]
    )
    reference = {"apiVersion": f"{GATEWAY}/v1", "kind": "Gateway", "name": meta["name"], "uid": meta["uid"]}
    extra = at(gateway, "spec", "infrastructure") or {}
    for obj in (account, config, service, deployment):
        obj["metadata"]["ownerReferences"] = [reference]
        _add(obj["metadata"], extra)
    kubernetes = at(envoy_proxy, "spec", "provider", "kubernetes") or {}
    wanted = kubernetes.get("envoyDeployment") or {}
    deployment["spec"]["replicas"] = wanted.get("replicas", 1)
    pod = deployment["spec"]["template"]
    _add(pod["metadata"], extra)
    _add(pod["metadata"], wanted.get("pod") or {})
    envoy = pod["spec"]["containers"][0]
    envoy |= wanted.get("container") or {}
    envoy["args"] += at(envoy_proxy, "spec", "extraArgs") or []
    result = [account, config, _service(service, listeners, envoy_proxy), deployment]
    for obj in result:
        defaults.fill(_KINDS[obj["kind"]], obj)
    return result


def _service(service: Object, listeners: list[Object], envoy_proxy: Object | None) -> Object:
    wanted: Object = at(envoy_proxy, "spec", "provider", "kubernetes", "envoyService") or {}
    spec, type_ = service["spec"], wanted.get("type", "LoadBalancer")
    spec["type"] = type_
    if type_ != "ClusterIP":
        spec["externalTrafficPolicy"] = wanted.get("externalTrafficPolicy", "Local")
    ports: dict[int, Object] = {}
    for listener in listeners:
        port = listener["port"]
        ports[port] = {
            "name": f"{listener['protocol'].lower()}-{port}",
            "port": port,
            "protocol": "TCP",
            "targetPort": container_port(port, envoy_proxy),
        }
    spec["ports"] = list(ports.values())
    patch: Any = at(wanted, "patch", "value")
    return service if patch is None else _strategic(service, patch)


def _strategic(target: Any, patch: Any, field: str = "") -> Any:
    """Strategic merge patch of a Service: maps are merged, and the items of `ports`, by their port; new ones come
    first, as the recorded Service with a patched port shows."""
    if isinstance(target, dict) and isinstance(patch, dict):
        return target | {key: _strategic(target.get(key), value, key) for key, value in patch.items()}
    if field != "ports":
        return patch
    have, wanted = ({one["port"]: one for one in ports} for ports in (target or (), patch))
    fresh = [one for port, one in wanted.items() if port not in have]
    return [*fresh, *(one | wanted.get(port, {}) for port, one in have.items())]


def _add(metadata: Object, extra: Object) -> None:
    for key in ("labels", "annotations"):
        if extra.get(key):
            metadata[key] = (metadata.get(key) or {}) | extra[key]
