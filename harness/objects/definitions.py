"""Custom resource definitions, and the admission policies that come with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFINITIONS = ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
_BUNDLE = ("gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel")


def gateway_api(definition: Mapping[str, Any]) -> str:
    """Of which Gateway API a definition says it is: "v1.4.1 experimental"; empty if it does not."""
    said = definition["metadata"].get("annotations") or {}
    return " ".join(said[key] for key in _BUNDLE if key in said)
