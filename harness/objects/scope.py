"""Whether a change of an object affects only what a run created. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import NotAllowed
from harness.objects.refs import Ref, ref_of
from harness.objects.unstructured import mapping, objects

NAMESPACES = frozenset({"default"})  # where suites apply objects of their own, by name
# Policies that hold for a whole namespace unless they select workloads or name what they are for.
SELECTING = frozenset(
    {
        "AuthorizationPolicy",
        "EnvoyFilter",
        "NetworkPolicy",
        "PeerAuthentication",
        "ProxyConfig",
        "RequestAuthentication",
        "Sidecar",
        "Telemetry",
        "WasmPlugin",
    }
)
NAMESPACE_WIDE = frozenset({"LimitRange", "ResourceQuota"})
SELECTORS = ("selector", "workloadSelector", "podSelector")


def reach_beyond_ours(named: Ref, document: Mapping[str, Any] | None = None) -> str:
    """Why a change of this object concerns others than this run: "cluster-wide", "in namespace istio-system",
    "namespace-wide"; empty if it does not. Without its `document` it is judged by its name alone."""
    if not named.namespace:
        return "cluster-wide"
    if named.namespace not in NAMESPACES:
        return f"in namespace {named.namespace}"
    if named.kind in NAMESPACE_WIDE:
        return "namespace-wide"
    if document is None:
        return ""
    spec = mapping(document, "spec")
    if "targetSelectors" in spec:
        return "for whatever in the namespace its targetSelectors select"
    return "namespace-wide" if named.kind in SELECTING and not _selects(spec) else ""


def beyond_ours(document: Mapping[str, Any]) -> str:
    """The same of a manifest's document, with its name: "PeerAuthentication/default/strict (namespace-wide)"; empty if
    it concerns nobody else."""
    named = ref_of(document)
    return described(named, reach_beyond_ours(named, document))


def described(named: Ref, why: str) -> str:
    """A name with why it is not ours, where the name itself does not say so; empty if it is ours."""
    return "" if not why else str(named) if why.startswith("in namespace") else f"{named} ({why})"


def check_ours(changes: Iterable[tuple[Ref, Mapping[str, Any] | None]], not_ours: str) -> None:
    """Checks changes, each object with its document if it is known, before any of them is made.

    Raises:
        NotAllowed: some concern others, which `not_ours` says must not be; all are named.
    """
    found = [described(named, reach_beyond_ours(named, document)) for named, document in changes]
    if found := list(filter(None, found)):
        raise NotAllowed(f"disruptive: {not_ours}: {', '.join(found)}")


def _selects(spec: Mapping[str, Any]) -> bool:
    if any(objects(spec, "targetRefs")) or mapping(spec, "targetRef"):
        return True
    selectors = [mapping(spec, key) for key in SELECTORS]
    return any(mapping(one, "matchLabels") or mapping(one, "labels") for one in selectors) or any(
        any(objects(one, "matchExpressions")) for one in selectors
    )
