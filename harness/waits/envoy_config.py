"""Waits for what is in Envoy's active configuration: endpoints, routes, an idle timeout, failClosed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import timeouts
from harness.components import Envoy
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.addresses import host_port
from harness.objects.unstructured import mapping, objects
from harness.objects.workloads import pod_ip
from harness.proxy.config_dump import routes
from harness.wait import until


def wait_for_endpoints(envoy: Envoy, kube: Kube, cluster: str, labels: str, port: int) -> None:
    """Waits until Envoy's endpoints of a cluster are exactly the pods there are now: a rollout that Kubernetes calls
    done has not reached the proxy yet, which still calls a pod on its way out."""
    until(
        lambda: (
            envoy.read_endpoints(cluster),
            {host_port(pod_ip(pod), port) for pod in kube.pods("default", labels)},
        ),
        lambda seen: bool(seen[0]) and seen[0] == seen[1],
        what=f"Envoy {envoy.gateway} calls exactly the pods of {labels}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable,),
        show=lambda seen: f"calls {sorted(seen[0])}, pods are {sorted(seen[1])}",
    )


def wait_for_route(envoy: Envoy, route: str, *, there: bool = True) -> None:
    """Waits until Envoy's active configuration has (or has no more) a route whose name begins so."""
    until(
        lambda: [found.name for found in routes(envoy.read_config_dump())],
        lambda names: any(name.startswith(route) for name in names) == there,
        what=f"Envoy {envoy.gateway} {'has' if there else 'no longer has'} route {route}",
        within=timeouts.XDS_PROPAGATION,
        every=0.25,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda names: f"{len(names)} routes",
    )


def wait_for_idle_timeout(envoy: Envoy, cluster: str, *, after: str = "1s") -> None:
    """Waits until Envoy's active cluster gives up connections that were idle so long."""
    until(
        lambda: [one for one in _active(envoy.read_config_dump()) if one.get("name") == cluster],
        lambda found: any(_has(one, "idle_timeout", after) for one in found),
        what=f"Envoy {envoy.gateway} lets go of idle connections of {cluster} after {after}",
        within=timeouts.XDS_PROPAGATION,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda found: f"{len(found)} such clusters",
    )


def wait_for_fail_closed(envoy: Envoy) -> None:
    """Waits until Envoy, which has a limit, refuses what the limiter does not answer: `rateLimit.failClosed`."""
    until(
        lambda: _has(envoy.read_config_dump(), "failure_mode_deny", True),
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
