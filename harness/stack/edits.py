"""Configuration changed on purpose, and what Envoy's active configuration makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import timeouts
from harness.clients.proxies import Envoy
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.manifests import Document
from harness.objects.tree import mapping, objects
from harness.wait import until

_HEADER = "x-edit"


def route(kube: Kube, envoy: Envoy, name: str, *, times: int) -> None:
    """Changes an HTTPRoute of `default` that many times (a response header's value), each time until Envoy's active
    routes have it, then gives it its rules back.

    Raises:
        NotReady: an edit did not reach Envoy.
    """
    found = kube.get(f"HTTPRoute/default/{name}")
    spec, named = mapping(found, "spec"), {"name": name, "namespace": "default"}
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
        lambda: _values(envoy.config_dump(), _HEADER),
        lambda found: value in found,
        what=what,
        within=timeouts.XDS_PROPAGATION,
        every=0.2,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda found: f"{_HEADER}: {sorted(found)}",
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


def lets_go(envoy: Envoy, cluster: str, *, after: str = "1s") -> None:
    """Waits until Envoy's active cluster gives up connections that were idle so long."""
    until(
        lambda: [one for one in _active(envoy.config_dump()) if one.get("name") == cluster],
        lambda found: any(_has(one, "idle_timeout", after) for one in found),
        what=f"Envoy {envoy.gateway} lets go of idle connections of {cluster} after {after}",
        within=timeouts.XDS_PROPAGATION,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda found: f"{len(found)} such clusters",
    )


def denies(envoy: Envoy) -> None:
    """Waits until Envoy, which has a limit, refuses what the limiter does not answer: `rateLimit.failClosed`."""
    until(
        lambda: _has(envoy.config_dump(), "failure_mode_deny", True),
        bool,
        what=f"Envoy {envoy.gateway} refuses what the limiter does not answer",
        within=timeouts.DISTURBED,
        transient=(Inconclusive, ApiUnavailable),
    )


def _active(dump: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sections = objects(dump, "configs")
    return [mapping(entry, "cluster") for section in sections for entry in objects(section, "dynamic_active_clusters")]


def _has(tree: Any, key: str, value: Any) -> bool:
    if isinstance(tree, Mapping):
        return tree.get(key) == value or any(_has(one, key, value) for one in tree.values())
    return isinstance(tree, list) and any(_has(one, key, value) for one in tree)
