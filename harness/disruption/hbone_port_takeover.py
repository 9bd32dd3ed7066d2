"""Makes Envoy take a waypoint's port 15008 while ztunnel is down, and repairs it (docs/port-15008.md)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from harness import observations, progress, timeouts
from harness.components import Envoy, Ztunnels
from harness.disruption import restarts
from harness.disruption.others_objects_guard import touches
from harness.errors import Inconclusive, NotReady
from harness.kube import ApiUnavailable, Kube, ObjectMissing, RequestRejected
from harness.logs.ztunnel import parse_bind_failures
from harness.objects.manifests import Document
from harness.objects.unstructured import strings
from harness.objects.workloads import OWNING_GATEWAY, node_name
from harness.proxy.config_dump import listeners
from harness.wait import until
from harness.waits import gateways, rollouts

TRIES = 4


@touches(restarts.ZTUNNEL)
def kill_ztunnel(kube: Kube, ztunnels: Ztunnels, node: str) -> str:
    """Ends the node's ztunnel without grace, as an OOM or a crash does; its pod's name. A new one comes by itself."""
    name = next(str(p["metadata"]["name"]) for p in ztunnels.read_pods() if node_name(p) == node)
    kube.delete([f"Pod/{ztunnels.namespace}/{name}"], gone=False, force=True)
    observations.record_sighting("harness", f"ztunnel {name} of {node} was killed")
    return name


@touches(restarts.ZTUNNEL)
def let_envoy_take_port(kube: Kube, ztunnels: Ztunnels, envoy: Envoy, *routes: str) -> None:
    """Kills ztunnel beside the waypoint and changes these routes, the first its own, until Envoy has port 15008. The
    Gateway must have a TCP listener on it. Who is first is a race, so it is tried TRIES times.

    Raises:
        NotReady: ztunnel was first each time.
    """
    before = {route: strings(kube.get(f"HTTPRoute/{envoy.namespace}/{route}"), "spec", "hostnames") for route in routes}
    number = itertools.count()

    def changed() -> bool:
        for route, had in before.items():
            hosts = [*had, f"changed-{next(number)}.example"]
            kube.patch(f"HTTPRoute/{envoy.namespace}/{route}", {"spec": {"hostnames": hosts}})
        found = [one for dump in envoy.read_config_dumps().values() for one in listeners(dump)]
        return any(one.address.endswith(":15008") and one.state == "active" for one in found)

    try:
        for attempt in range(1, TRIES + 1):
            kill_ztunnel(kube, ztunnels, node_name(envoy.pod))
            try:
                until(
                    changed,
                    bool,
                    what=f"Envoy {envoy.gateway} takes port 15008",
                    within=timeouts.PORT_TAKEN,
                    every=0.3,
                    transient=(ApiUnavailable, Inconclusive),
                )
            except NotReady:
                if attempt == TRIES:
                    raise
                progress.note(f"ztunnel was first at port 15008, try {attempt} of {TRIES}")
                rollouts.wait_for_rollout(kube, restarts.ZTUNNEL)
            else:
                observations.record_sighting(f"{envoy.gateway} config_dump", f"listens on port 15008 (try {attempt})")
                break
    finally:
        for route, had in before.items():
            kube.patch(f"HTTPRoute/{envoy.namespace}/{route}", {"spec": {"hostnames": list(had) or None}})
    until(
        lambda: [failure for log in ztunnels.read_logs().values() for failure in parse_bind_failures(log)],
        lambda found: any(failure.uid == envoy.pod["metadata"]["uid"] for failure in found),
        what=f"the new ztunnel has found port 15008 of {envoy.gateway} taken",
        within=timeouts.STATUS,
        transient=(ApiUnavailable, ObjectMissing, RequestRejected),
        show=lambda found: f"{len(found)} bind failures",
    )


@contextmanager
@touches(restarts.ZTUNNEL)
def while_envoy_has_port(kube: Kube, ztunnels: Ztunnels, envoy: Envoy, *routes: str) -> Iterator[None]:
    """Envoy has port 15008 of the waypoint's pod for the block, as `let_envoy_take_port` brings about; afterwards the
    pod is a new one, in which ztunnel has it."""
    let_envoy_take_port(kube, ztunnels, envoy, *routes)
    try:
        yield
    finally:
        give_port_back(kube, envoy)


def read_pods_with_taken_ports(kube: Kube, ztunnels: Ztunnels) -> list[str]:
    """The pods, still there, of whose ports ztunnel could not have one: "Pod/namespace/name"."""
    uids = {failure.uid for text in ztunnels.read_logs().values() for failure in parse_bind_failures(text)}
    pods: list[Document] = kube.list_objects("Pod")
    return [
        f"Pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["metadata"]["uid"] in uids
    ]


def give_port_back(kube: Kube, envoy: Envoy) -> None:
    """Deletes the waypoint's pod: in the new one ztunnel is first. Waits until both are ready."""
    labels = f"{OWNING_GATEWAY}={envoy.gateway}"
    kube.delete([f"Pod/{envoy.namespace}/{pod['metadata']['name']}" for pod in kube.list_pods(envoy.namespace, labels)])
    gateways.wait_for_proxy_pod(kube, envoy.gateway)
    rollouts.wait_for_rollout(kube, restarts.ZTUNNEL)
