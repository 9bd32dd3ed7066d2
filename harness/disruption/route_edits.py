"""Edits an HTTPRoute many times, and waits each time for Envoy's active routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import timeouts
from harness.components import Envoy
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.manifests import Document
from harness.objects.unstructured import mapping, objects
from harness.wait import until

_HEADER = "x-edit"


def edit_route(kube: Kube, envoy: Envoy, name: str, *, times: int) -> None:
    """Changes an HTTPRoute of the Gateway's namespace that many times (a response header's value), each time until
    Envoy's active routes have it, then gives it its rules back.

    Raises:
        NotReady: an edit did not reach Envoy.
    """
    found = kube.get(f"HTTPRoute/{envoy.namespace}/{name}")
    spec, named = mapping(found, "spec"), {"name": name, "namespace": envoy.namespace}
    rules = [dict(rule) for rule in objects(spec, "rules")]

    def write(written: list[Document]) -> None:
        # Applied, not patched: a later apply of the manifest would else meet another owner of the rules.
        head: dict[str, object] = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": named}
        kube.apply([{**head, "spec": {**spec, "rules": written}}])

    try:
        for n in range(times):
            write([{**rule, **_marking(n)} for rule in rules])
            _arrived(envoy, str(n), what=f"Envoy {envoy.gateway} has edit {n + 1} of HTTPRoute {name}")
    finally:
        write(rules)


def _arrived(envoy: Envoy, value: str, *, what: str) -> None:
    until(
        lambda: [_values(dump, _HEADER) for dump in envoy.read_config_dumps().values()],
        lambda found: all(value in one for one in found),
        what=what,
        within=timeouts.XDS_PROPAGATION,
        every=0.2,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda found: f"{_HEADER}: {[sorted(one) for one in found]}",
    )


def _marking(n: int) -> Mapping[str, Any]:
    header = {"name": _HEADER, "value": str(n)}
    return {"filters": [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [header]}}]}


def _values(tree: Any, header: str) -> set[str]:
    """What Envoy's configuration sets that header to, anywhere."""
    if isinstance(tree, Mapping):
        own = {str(tree.get("value"))} if tree.get("key") == header else set()
        return own.union(*(_values(one, header) for one in tree.values()))
    return set[str]().union(*(_values(one, header) for one in tree)) if isinstance(tree, list) else set()
