"""The article's two proxies, stood up and taken for ready only when the data plane carries a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from harness import timeouts
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.objects.manifests import Document
from harness.objects.tree import objects, text
from harness.objects.workloads import OWNING_GATEWAY, pod_containers, pod_ip, pod_ready, trouble
from harness.proxy.config_dump import routes
from harness.stack import ready
from harness.stack.applied import Manifests
from harness.stack.status import condition
from harness.traffic import Answer, Answers, get
from harness.wait import until

USE_WAYPOINT = "istio.io/use-waypoint"


def gateway(kube: Kube, name: str, route: str) -> None:
    """Waits until a Gateway is Programmed, its route accepted with its backends resolved, and its proxy pod ready.

    Raises:
        Terminal, NotReady: with the status that says why not.
    """
    condition(
        kube, f"Gateway/default/{name}", "Programmed", within=timeouts.ROLLOUT, stuck=lambda: _trouble(kube, name)
    )
    condition(kube, f"HTTPRoute/default/{route}", "Accepted")
    condition(kube, f"HTTPRoute/default/{route}", "ResolvedRefs")
    proxy(kube, name)


def _trouble(kube: Kube, gateway: str) -> str:
    """What keeps a proxy pod of the Gateway from running, or nothing."""
    pods = kube.pods("default", f"{OWNING_GATEWAY}={gateway}")
    return next((one.text for pod in pods for one in trouble(pod)), "")


def proxy(kube: Kube, gateway: str) -> None:
    """Waits until the Gateway has exactly one proxy pod and that is ready."""
    until(
        lambda: [pod_ready(pod) for pod in kube.pods("default", f"{OWNING_GATEWAY}={gateway}")],
        lambda ready: ready == [True],
        what=f"Gateway {gateway} has one ready proxy pod",
        within=timeouts.ROLLOUT,
        transient=(ApiUnavailable,),
    )


def serves(client: IngressClient, path: str) -> Answer:
    """Waits until the path answers 200 through the ingress: what statuses promise, the data plane keeps."""
    return until(
        lambda: client.get(get(path)),
        lambda answer: answer.status == 200,
        what=f"{path} answers 200 through the ingress ({client.via})",
        within=timeouts.XDS_PROPAGATION,
        show=lambda answer: f"{answer.status or answer.error}",
    )


def bind(kube: Kube, service: str, waypoint: str) -> None:
    """Labels a Service that the caller made with its waypoint and waits for istiod's word. The Gateway must be
    programmed before: bound to one that is not ready, calls go straight to the pods (stack-facts 8.10)."""
    kube.patch(f"Service/default/{service}", {"metadata": {"labels": {USE_WAYPOINT: waypoint}}})
    condition(kube, f"Service/default/{service}", "istio.io/WaypointBound")


@contextmanager
def bound(manifests: Manifests, service: str, waypoint: str) -> Iterator[None]:
    """A Service of the stack bound likewise for the block; afterwards it has the waypoint, or none, that it had before:
    in somebody's cluster it may be theirs."""
    with manifests.patched(f"Service/default/{service}", {"metadata": {"labels": {USE_WAYPOINT: waypoint}}}):
        condition(manifests.kube, f"Service/default/{service}", "istio.io/WaypointBound")
        yield


def passes(client: MeshClient, envoy: Envoy, url: str) -> Answer:
    """Waits until a call from the mesh passes the waypoint: its answer is 200 and the waypoint's log has it."""

    sent: list[tuple[datetime, Answers]] = []

    def look() -> tuple[Answer, bool]:
        # Envoy flushes its log every second or so: the line of an earlier probe counts as well.
        sent.append((datetime.now(UTC), client.in_turn(get(url))))
        heard = any(not envoy.silent_about(answers, since) for since, answers in sent[-3:])
        return sent[-1][1][0], heard

    answer, _ = until(
        look,
        lambda seen: seen[0].status == 200 and seen[1],
        what=f"{url} answers 200 through waypoint {envoy.gateway}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable,),
        show=lambda seen: f"{seen[0].status or seen[0].error}, waypoint's log {'has' if seen[1] else 'lacks'} it",
    )
    return answer


@contextmanager
def environment(manifests: Manifests, deployment: str, container: str, **variables: str) -> Iterator[None]:
    """Gives a Deployment's container environment variables for the block, and what it had before afterwards; rolled
    out both times."""
    name = f"Deployment/default/{deployment}"
    before: list[Document] = pod_containers(manifests.kube.get(name))
    added = [{"name": key, "value": value} for key, value in variables.items()]
    changed = [c | {"env": [*objects(c, "env"), *added]} if text(c, "name") == container else c for c in before]
    try:
        with manifests.patched(name, {"spec": {"template": {"spec": {"containers": changed}}}}):
            ready.workload(manifests.kube, name)
            yield
    finally:
        ready.workload(manifests.kube, name)


def follows(envoy: Envoy, kube: Kube, cluster: str, labels: str, port: int) -> None:
    """Waits until Envoy's endpoints of a cluster are exactly the pods there are now: a rollout that Kubernetes calls
    done has not reached the proxy yet, which still calls a pod on its way out."""
    until(
        lambda: (
            envoy.endpoints(cluster),
            {f"{pod_ip(pod)}:{port}" for pod in kube.pods("default", labels)},
        ),
        lambda seen: bool(seen[0]) and seen[0] == seen[1],
        what=f"Envoy {envoy.gateway} calls exactly the pods of {labels}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable,),
        show=lambda seen: f"calls {sorted(seen[0])}, pods are {sorted(seen[1])}",
    )


def routed(envoy: Envoy, route: str, *, there: bool = True) -> None:
    """Waits until Envoy's active configuration has (or has no more) a route whose name begins so."""
    until(
        lambda: [found.name for found in routes(envoy.config_dump())],
        lambda names: any(name.startswith(route) for name in names) == there,
        what=f"Envoy {envoy.gateway} {'has' if there else 'no longer has'} route {route}",
        within=timeouts.XDS_PROPAGATION,
        every=0.25,
        transient=(Inconclusive, ApiUnavailable),
        show=lambda names: f"{len(names)} routes",
    )
