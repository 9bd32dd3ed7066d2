"""Reads CustomResourceDefinitions, and the admission policies that come with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.objects.unstructured import at, mapping, objects, text

DEFINITIONS = ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
GATEWAY_API = "gateway.networking.k8s.io"
_BUNDLE = ("gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel")


def gateway_api_version(definition: Mapping[str, Any]) -> str:
    """Of which Gateway API a definition says it is: "v1.4.1 experimental"; empty if it does not."""
    annotations = mapping(definition, "metadata", "annotations")
    return " ".join(str(annotations[key]) for key in _BUNDLE if annotations.get(key))


def mixed_versions(definitions: Iterable[Mapping[str, Any]]) -> str:
    """How the Gateway API's definitions differ in bundle or channel: each bundle with its definitions and their field
    managers. Empty if all are of one.

    All are released together, so several bundles mean that two programs install them.
    """
    found: dict[str, list[str]] = {}
    for one in definitions:
        if text(one, "spec", "group") == GATEWAY_API:
            plural = text(one, "spec", "names", "plural") or text(one, "metadata", "name")
            found.setdefault(gateway_api_version(one) or "of no bundle", []).append(f"{plural} by {_writer(one)}")
    if len(found) < 2:
        return ""
    return "; ".join(f"{bundle}: {', '.join(sorted(names))}" for bundle, names in sorted(found.items()))


def _writer(definition: Mapping[str, Any]) -> str:
    """The field manager that last wrote the annotation with the bundle's version."""
    marks = [
        (text(entry, "time"), text(entry, "manager"))
        for entry in objects(definition, "metadata", "managedFields")
        if at(entry, "fieldsV1", "f:metadata", "f:annotations", f"f:{_BUNDLE[0]}") is not None
    ]
    return max(marks, default=("", ""))[1] or "an unknown manager"
