"""Waits for what is in Envoy's active configuration: endpoints, routes, an idle timeout, failClosed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import timeouts
from harness.components import Envoy
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.address_with_port import host_port
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
            {host_port(pod_ip(pod), port) for pod in kube.list_pods(envoy.namespace, labels)},
        ),
        lambda seen: bool(seen[1]) and all(called == seen[1] for called in seen[0].values()),
        what=f"Envoy {envoy.gateway} calls exactly the pods of {labels}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable,),
        show=lambda seen: f"calls {_sorted(seen[0])}, pods are {sorted(seen[1])}",
    )


def wait_for_route(envoy: Envoy, route: str) -> None:
    """Waits until Envoy's active configuration has a route whose name begins so."""
    until(
        lambda: {pod: [found.name for found in routes(dump)] for pod, dump in envoy.read_config_dumps().items()},
        lambda seen: all(any(name.startswith(route) for name in names) for names in seen.values()),
        what=f"Envoy {envoy.gateway} has route {route}",
        within=timeouts.XDS_PROPAGATION,
        every=0.25,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda seen: ", ".join(f"{pod}: {len(names)} routes" for pod, names in seen.items()),
    )


def wait_for_idle_timeout(envoy: Envoy, cluster: str) -> None:
    """Waits until Envoy's active cluster gives up connections that were idle for a second."""
    until(
        lambda: [
            [one for one in _active(dump) if one.get("name") == cluster] for dump in envoy.read_config_dumps().values()
        ],
        lambda seen: all(any(_has(one, "idle_timeout", "1s") for one in found) for found in seen),
        what=f"Envoy {envoy.gateway} lets go of idle connections of {cluster} after 1s",
        within=timeouts.XDS_PROPAGATION,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda seen: f"{[len(found) for found in seen]} such clusters",
    )


def wait_for_fail_closed(envoy: Envoy) -> None:
    """Waits until Envoy rejects requests to a limited route while the rate limit service is down (failClosed)."""
    until(
        lambda: [_has(dump, "failure_mode_deny", True) for dump in envoy.read_config_dumps().values()],
        all,
        what=f"Envoy {envoy.gateway} refuses what the limiter does not answer",
        within=timeouts.DISTURBED,
        transient=(Inconclusive, ApiUnavailable),
    )


def _sorted(called: Mapping[str, set[str]]) -> dict[str, list[str]]:
    return {pod: sorted(addresses) for pod, addresses in called.items()}


def _active(dump: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sections = objects(dump, "configs")
    return [mapping(entry, "cluster") for section in sections for entry in objects(section, "dynamic_active_clusters")]


def _has(tree: Any, key: str, value: Any) -> bool:
    if isinstance(tree, Mapping):
        return tree.get(key) == value or any(_has(one, key, value) for one in tree.values())
    return isinstance(tree, list) and any(_has(one, key, value) for one in tree)
