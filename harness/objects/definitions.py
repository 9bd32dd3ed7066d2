"""Custom resource definitions, and the admission policies that come with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.objects.unstructured import mapping

DEFINITIONS = ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
_BUNDLE = ("gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel")


def gateway_api(definition: Mapping[str, Any]) -> str:
    """Of which Gateway API a definition says it is: "v1.4.1 experimental"; empty if it does not."""
    said = mapping(definition, "metadata", "annotations")
    return " ".join(str(said[key]) for key in _BUNDLE if said.get(key))
