"""The command `mesh-e2e versions`: prints the releases that VERSIONS= can name."""

from __future__ import annotations

from rich.table import Table

from harness import version_sets, version_sets_from_names


def table() -> Table:
    """Minors with their newest patch, last day of support, Kubernetes range and what they bring; node images."""
    known, limits = version_sets_from_names.load(), version_sets.load().limits
    found = Table("product", "minor", "newest", "support until", "Kubernetes", "brings", box=None)
    for name, istio in known.istio.items():
        found.add_row(
            "Istio", name, istio.newest, str(istio.until), " to ".join(limits.istio[name]), f"bookinfo {istio.bookinfo}"
        )
    for name, gateway in known.envoy_gateway.items():
        newest, ranges = known.newest("eg", name), " to ".join(limits.envoy_gateway[name].kubernetes)
        brings = f"envoy {gateway.patches[newest].envoy}, gateway-api {gateway.gateway_api.bundle}"
        found.add_row("Envoy Gateway", name, newest, str(gateway.until), ranges, brings)
    for version, node in known.kubernetes.node_images.items():
        found.add_row(
            "Kubernetes", version_sets_from_names.label(version), version, "", "", f"node image of kind {node.kind}"
        )
    return found
