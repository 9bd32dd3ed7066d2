"""Reaches the Service of a Gateway from outside at each node and at its assigned address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network

from harness import observations, record_replay, timeouts
from harness.clients.http import IngressClient
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Answers, Request
from harness.kube import ApiUnavailable, Kube
from harness.objects.address_with_port import host_port, url
from harness.objects.manifests import Document
from harness.objects.unstructured import number, objects, strings, text
from harness.objects.workloads import OWNING_GATEWAY, addresses, node_name
from harness.wait import pause, until
from harness.waits.responses import wait_for_response


@dataclass(frozen=True, slots=True)
class NodeDoor:
    """A node port of a Service at one node. `own`: the addresses that a connection from the node's own network stack
    has, the first of its pods' network included, which the bridge to them has on it."""

    node: str
    client: IngressClient
    own: frozenset[str]


def read_node_doors(kube: Kube, gateway: str) -> list[NodeDoor]:
    """The first node port of a Gateway's Service at each node, that of the node with its proxy first."""
    service = kube.get(f"Service/{kube.namespace}/{gateway}")
    port = number(next(objects(service, "spec", "ports")), "nodePort")
    proxies = {node_name(pod) for pod in kube.list_pods(kube.namespace, f"{OWNING_GATEWAY}={gateway}")}
    doors = [_door(node, port) for node in kube.list_objects("Node")]
    return sorted(doors, key=lambda door: (door.node not in proxies, door.node))


def _door(node: Document, port: int) -> NodeDoor:
    internal = addresses([node])
    bridges = [str(next(ip_network(cidr).hosts())) for cidr in strings(node, "spec", "podCIDRs")]
    client = IngressClient(url(internal[0], port), f"node port {host_port(internal[0], port)}")
    return NodeDoor(node["metadata"]["name"], client, frozenset([*internal, *bridges]))


def send_to_nodes(place: Place, doors: Sequence[NodeDoor], *, settle: bool = False) -> Arm:
    """Sends a request to each node in their order; those that are answered have access lines. `settle`: after
    timeouts.SILENCE, where nothing shows that what was applied has had its effect.

    Raises:
        Inconclusive: a witness is missing.
    """
    if settle:
        pause(timeouts.SILENCE, why="what was applied has time to take effect")
    since, request = record_replay.now(), place.get()
    answers = Answers(tuple(door.client.send(request) for door in doors))
    return place.observe(answers, request, since, lambda answer: answer.status is not None)


@contextmanager
def while_in_cluster_mode(
    applied: AbstractContextManager[object], kube: Kube, gateway: str, doors: Sequence[NodeDoor], request: Request
) -> Iterator[None]:
    """While `applied` sets externalTrafficPolicy Cluster on a Gateway's Service: the last node, which has no proxy, is
    answered in the block, and no longer after it.

    Raises:
        NotReady: that, or the policy of the Service, did not come in time.
    """
    with applied:
        _wait_for_policy(kube, gateway, "Cluster")
        wait_for_response(doors[-1].client, request, status=200)
        yield
    _wait_for_policy(kube, gateway, "Local")
    wait_for_response(doors[-1].client, request, status=None)


def _wait_for_policy(kube: Kube, gateway: str, policy: str) -> None:
    name = f"Service/{kube.namespace}/{gateway}"
    until(
        lambda: text(kube.get(name), "spec", "externalTrafficPolicy"),
        lambda found: found == policy,
        what=f"externalTrafficPolicy of {name} is {policy}",
        within=timeouts.STATUS,
        transient=(ApiUnavailable,),
    )


def wait_for_annotations(kube: Kube, name: str, names: Sequence[str], *, there: bool) -> dict[str, str]:
    """Those of the annotations that the object has, once it has all of them, or none.

    Raises:
        NotReady: it was not so in time.
    """
    found = until(
        lambda: {key: text(kube.get(name), "metadata", "annotations", key) for key in names},
        lambda values: all(values.values()) if there else not any(values.values()),
        what=f"{name} has {'all' if there else 'none'} of the annotations {', '.join(names)}",
        within=timeouts.STATUS,
        transient=(ApiUnavailable,),
    )
    observations.record_sighting(f"annotations of {name}", str({key: value for key, value in found.items() if value}))
    return found
