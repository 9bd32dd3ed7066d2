"""The Helm releases of a version set. Reads manifests/values only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.cluster.protocol import Release
from harness.objects.manifests import MANIFESTS
from harness.offline_bundle import Bundle
from harness.strict_yaml import parse_yaml
from harness.version_sets import VersionSet

ISTIO, GATEWAY = "istio-system", "envoy-gateway-system"


def make_releases(versions: VersionSet, bundle: Bundle | None, *, replicas: int = 1) -> dict[str, Release]:
    """Releases by chart name, the rate limit service with so many replicas; from the archives
    of a bundle, else from their registries."""
    made = {}
    for name, chart in versions.charts.items():
        reference = str(bundle.charts / chart.archive) if bundle and chart.released else chart.reference
        istio = name != "gateway-helm"
        values = parse_yaml((MANIFESTS / "values" / f"{name}.yaml").read_text())
        values = _merged(values, _istio(versions) if istio else _envoy_gateway(versions, replicas))
        made[name] = Release(name if istio else "eg", reference, chart.version, ISTIO if istio else GATEWAY, values)
    return made


def with_values(release: Release, values: dict[str, Any]) -> Release:
    """The release with some of its values changed, or more."""
    return replace(release, values=_merged(dict(release.values), values))


def _istio(versions: VersionSet) -> dict[str, Any]:
    built = versions.builds.istio_tag  # of a build the tag is taken as it is
    tag = {"tag": built or versions.istio, "variant": "" if built else "distroless"}
    tag |= {"hub": versions.istio_hub, "imagePullPolicy": "IfNotPresent"}
    secrets = {"imagePullSecrets": [versions.registry.secret]} if versions.registry and versions.registry.secret else {}
    return {"global": {**tag, **secrets}}


def _envoy_gateway(versions: VersionSet, replicas: int) -> dict[str, Any]:
    images, registry = versions.images, versions.registry
    secrets = {"imagePullSecrets": [{"name": registry.secret}]} if registry and registry.secret else {}
    limiter = {"rateLimitDeployment": {"replicas": replicas}} if replicas > 1 else {}
    return {
        "config": {"envoyGateway": {"provider": {"kubernetes": limiter}}},
        "crds": {"enabled": False},  # applied before, by us; a chart with a crds folder ignores it
        "global": {
            **secrets,
            "images": {
                "envoyGateway": {"image": images["gateway"], "pullPolicy": "IfNotPresent"},
                "ratelimit": {"image": images["ratelimit"], "pullPolicy": "IfNotPresent"},
            },
        },
    }


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
