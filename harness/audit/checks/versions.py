"""Audit check: versions past their support, unsupported pairs, mixed Gateway API CRDs, Envoy Gateway's mode."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from harness.audit.finding import NotJudged, Result, make_finding
from harness.audit.state import AuditState, labels_of, object_name
from harness.audit.waypoint_bindings import controllers, envoy_gateway_version, waypoints
from harness.objects.crds_and_admission_policies import gateway_api_version
from harness.objects.references import GATEWAY_API
from harness.objects.unstructured import Json, name_of, text
from harness.objects.workloads import pod_containers
from harness.version_sets import Range, minor

SOURCE = "https://gateway.envoyproxy.io/news/releases/matrix/ (End of Life), as in releases.yaml"
_TAG = re.compile(r":v?(\d+\.\d+\.\d+)[^/:]*$")


def support(state: AuditState) -> Iterable[Result]:
    """Envoy Gateway past the end of its support."""
    those = controllers(state)
    version = envoy_gateway_version(state)
    if not version:
        return [NotJudged("version-unsupported", "no Envoy Gateway with an image tag that gives its version")]
    ends = state.ends.get("{}.{}".format(*minor(version)))
    if ends is None:
        return [NotJudged("version-unsupported", f"when support of Envoy Gateway {version} ends is not known here")]
    if state.now.date() <= ends:
        return []
    sentence = f"Envoy Gateway {version} has had no support since {ends}"
    return [make_finding("version-unsupported", "medium", those[0], sentence, SOURCE)]


def pairs(state: AuditState) -> Iterable[Result]:
    """Istio, Envoy Gateway and Kubernetes versions that are outside each other's limits."""
    if state.limits is None or not re.match(r"v?\d+\.\d+", state.kubernetes):
        return [NotJudged("version-pair", "the version of Kubernetes is not known")]
    kubernetes = minor(state.kubernetes.removeprefix("v"))
    istiods = [d for d in state.all_objects("Deployment") if labels_of(d).get("app") == "istiod"]
    results: list[Result] = []
    for what, those, version, limits in (
        ("Istio", istiods, _tag(istiods), state.limits.istio),
        (
            "Envoy Gateway",
            controllers(state),
            envoy_gateway_version(state),
            {label: one.kubernetes for label, one in state.limits.envoy_gateway.items()},
        ),
    ):
        if not version:
            results.append(NotJudged("version-pair", f"the version of {what} cannot be read from its image's tag"))
            continue
        allowed: Range | None = limits.get("{}.{}".format(*minor(version)))
        if allowed is None:
            known = f"{what} {version} is not among the versions that are known here ({', '.join(limits)})"
            results.append(make_finding("version-pair", "low", those[0], known))
        elif not minor(allowed[0]) <= kubernetes <= minor(allowed[1]):
            sentence = (
                f"{what} {version} is for Kubernetes {allowed[0]} to {allowed[1]}, and this is {state.kubernetes}"
            )
            results.append(make_finding("version-pair", "medium", those[0], sentence))
    return results


def definitions(state: AuditState) -> Iterable[Result]:
    """Definitions of the Gateway API of different bundles or channels, or older than Envoy Gateway's chart has."""
    by_bundle: dict[str, list[Json]] = defaultdict(list)
    for one in state.all_objects("CustomResourceDefinition"):
        if object_name(one).endswith(f".{GATEWAY_API}") and gateway_api_version(one):
            by_bundle[gateway_api_version(one)].append(one)
    if len(by_bundle) > 1:
        fewest = min(by_bundle.values(), key=len)
        yield make_finding(
            "gateway-api-mixed",
            "medium",
            fewest,
            f"definitions of the Gateway API come from {len(by_bundle)} bundles: {', '.join(sorted(by_bundle))}",
            *(
                f"{bundle}: {', '.join(object_name(one).partition('.')[0] for one in d)}"
                for bundle, d in by_bundle.items()
            ),
        )
    version = envoy_gateway_version(state)
    known = state.limits.envoy_gateway.get("{}.{}".format(*minor(version))) if version and state.limits else None
    for bundle, those in by_bundle.items():
        has, _, channel = bundle.partition(" ")
        if known and re.match(r"v\d+\.\d+", has) and minor(has.removeprefix("v")) < minor(known.bundle):
            yield make_finding(
                "gateway-api-old",
                "medium",
                those,
                f"definitions of the Gateway API are of {bundle}, and Envoy Gateway {version} brings {known.bundle}: "
                "it skips kinds that they lack",
            )
        elif channel == "standard" and known:
            sentence = (
                "definitions of the Gateway API are of the standard channel; Envoy Gateway reads kinds that it lacks"
            )
            yield make_finding("gateway-api-old", "low", those, sentence)


def mode(state: AuditState) -> Iterable[Result]:
    """Envoy Gateway in a mode in which its proxies cannot be waypoints."""
    used = waypoints(state)
    if not used:
        return []
    if state.config is None:
        return [NotJudged("controller-namespace-mode", f"Envoy Gateway's mode is not known: {state.config_unread}")]
    deploy_type = text(state.config, "provider", "kubernetes", "deploy", "type") or "ControllerNamespace"
    if deploy_type == "GatewayNamespace":
        return []
    return [
        make_finding(
            "controller-namespace-mode",
            "high",
            gateway,
            f"{name_of(gateway)} is used as a waypoint, and Envoy Gateway runs its proxies in its own namespace: their "
            "pods lack the Gateway's name and namespace; install it with deploy.type: GatewayNamespace",
            f"provider.kubernetes.deploy.type: {deploy_type}",
        )
        for gateway in used
    ]


def _tag(workloads: list[Json]) -> str:
    images = [text(c, "image").partition("@")[0] for d in workloads for c in pod_containers(d)]
    tags = {found[1] for image in images if (found := _TAG.search(image))}
    return tags.pop() if len(tags) == 1 else ""
