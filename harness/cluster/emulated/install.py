"""Emulates Helm releases: stores the recorded objects and CRDs that they install."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from harness.cluster.emulated.api import defaults
from harness.cluster.emulated.api.errors import invalid
from harness.cluster.emulated.api.kinds import ENVOY_GATEWAY, GATEWAY, Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.recorded import template

CHARTS = ("base", "istiod", "cni", "ztunnel", "gateway-helm")
_ISTIO = {"pilot", "install-cni", "ztunnel"}
_DEFINITIONS: Mapping[str, tuple[tuple[str, str, str, tuple[str, ...]], ...]] = {
    # group: plural, kind, scope, versions; those that Envoy Gateway's chart brings
    GATEWAY: (
        ("backendtlspolicies", "BackendTLSPolicy", "Namespaced", ("v1", "v1alpha3")),
        ("gatewayclasses", "GatewayClass", "Cluster", ("v1", "v1beta1")),
        ("gateways", "Gateway", "Namespaced", ("v1", "v1beta1")),
        ("grpcroutes", "GRPCRoute", "Namespaced", ("v1",)),
        ("httproutes", "HTTPRoute", "Namespaced", ("v1", "v1beta1")),
        ("referencegrants", "ReferenceGrant", "Namespaced", ("v1beta1",)),
        ("tcproutes", "TCPRoute", "Namespaced", ("v1alpha2",)),
        ("tlsroutes", "TLSRoute", "Namespaced", ("v1alpha2",)),
        ("udproutes", "UDPRoute", "Namespaced", ("v1alpha2",)),
    ),
    ENVOY_GATEWAY: (
        ("backends", "Backend", "Namespaced", ("v1alpha1",)),
        ("backendtrafficpolicies", "BackendTrafficPolicy", "Namespaced", ("v1alpha1",)),
        ("clienttrafficpolicies", "ClientTrafficPolicy", "Namespaced", ("v1alpha1",)),
        ("envoyextensionpolicies", "EnvoyExtensionPolicy", "Namespaced", ("v1alpha1",)),
        ("envoypatchpolicies", "EnvoyPatchPolicy", "Namespaced", ("v1alpha1",)),
        ("envoyproxies", "EnvoyProxy", "Namespaced", ("v1alpha1",)),
        ("httproutefilters", "HTTPRouteFilter", "Namespaced", ("v1alpha1",)),
        ("securitypolicies", "SecurityPolicy", "Namespaced", ("v1alpha1",)),
    ),
}


def definitions(bundle: str, channel: str) -> list[Object]:
    """The CustomResourceDefinitions of Envoy Gateway's chart, without their schemas."""
    found = []
    for group, kinds in _DEFINITIONS.items():
        annotations = (
            {f"{GATEWAY}/bundle-version": f"v{bundle}", f"{GATEWAY}/channel": channel} if group == GATEWAY else {}
        )
        for plural, kind, scope, versions in kinds:
            served = [{"name": one, "served": True, "storage": one == versions[0]} for one in versions]
            names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
            found.append(
                {
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": f"{plural}.{group}", **({"annotations": annotations} if annotations else {})},
                    "spec": {"group": group, "names": names, "scope": scope, "versions": served},
                }
            )
    return found


def chart_of(release: Mapping[str, Any]) -> str:
    """Which of CHARTS a release is.

    Raises:
        ApiError: 422, none of them.
    """
    named = str(release["chart"]).rstrip("/").rsplit("/", 1)[-1]
    for chart in CHARTS:
        if named == chart or (named.startswith(f"{chart}-") and named.endswith(".tgz")):
            return chart
    raise invalid("Release", release["name"], {"chart": f"{named!r} is not emulated (only {', '.join(CHARTS)})"})


def objects(release: Mapping[str, Any], images: Mapping[str, str]) -> list[Object]:
    """The objects of one release, defaults filled in.

    Raises:
        ApiError: 422, a value that has no effect in the emulated cluster.
    """
    chart, values = chart_of(release), release.get("values") or {}
    if chart == "base":
        return []
    words = {role: images[role] for role in (*_ISTIO, "gateway", "ratelimit")}
    made = template(chart, version=release["version"], release=release["name"], **words)
    requests: Any = values.get("resources")
    if chart == "gateway-helm":
        settings = _settings(release, values)
        requests = _at(values, "deployment", "envoyGateway", "resources")
        config = next(one for one in made if one["kind"] == "ConfigMap")
        config["data"]["envoy-gateway.yaml"] = yaml.safe_dump(settings, sort_keys=True)
        backend = _at(settings, "rateLimit", "backend")
        if backend:
            more = template("ratelimit", redis=_at(backend, "redis", "url") or "", **words)
            _request(more, _at(settings, "provider", "kubernetes", "rateLimitDeployment", "container", "resources"))
            made += more
    _request(made, requests, only_first=True)
    return made


def filled(store: Store, obj: Object) -> Object:
    """The object with its kind's defaults."""
    defaults.fill(store.named(obj["kind"], obj["apiVersion"].rpartition("/")[0]), obj)
    return obj


def _settings(release: Mapping[str, Any], values: Mapping[str, Any]) -> Object:
    """The EnvoyGateway configuration that the chart writes."""
    given = _at(values, "config", "envoyGateway") or {}
    mode = _at(given, "provider", "kubernetes", "deploy", "type")
    if mode != "GatewayNamespace":
        field = "values.config.envoyGateway.provider.kubernetes.deploy.type"
        raise invalid("Release", release["name"], {field: f"{mode!r} is not emulated (only 'GatewayNamespace')"})
    backend = _at(given, "rateLimit", "backend", "type")
    if backend not in (None, "Redis"):
        field = "values.config.envoyGateway.rateLimit.backend.type"
        raise invalid("Release", release["name"], {field: f"{backend!r} is not emulated (only 'Redis')"})
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "extensionApis": {},
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "logging": {"level": {"default": "info"}},
        **given,
    }


def _request(made: list[Object], resources: Any, *, only_first: bool = False) -> None:
    """Gives the first container of the (first) workload the resources that the values ask for."""
    for obj in made:
        if obj["kind"] in ("Deployment", "DaemonSet"):
            if resources:
                obj["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
            if only_first:
                return


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
