"""Waits for a Gateway: its status, its route's status, its proxy pod, and a first answer through it."""

from __future__ import annotations

import re
from contextlib import suppress

from harness import observations, timeouts
from harness.clients.http import IngressClient, can_connect
from harness.errors import NotReady
from harness.http_exchange import Answer, get
from harness.kube import ApiUnavailable, Kube
from harness.objects.address_with_port import host_port, url
from harness.objects.conditions import Condition
from harness.objects.unstructured import objects, text
from harness.objects.workloads import OWNING_GATEWAY, find_trouble, is_pod_ready
from harness.wait import until
from harness.waits.status import wait_for_condition

_REPLICAS = re.compile(r"/(\d+) envoy replicas available")


def wait_for_gateway(kube: Kube, name: str, route: str) -> None:
    """Waits until a Gateway is Programmed, its route accepted with its backends resolved, and its proxy pod ready.

    Raises:
        Terminal, NotReady: with the status that says why not.
    """
    gateway, httproute = f"Gateway/{kube.namespace}/{name}", f"HTTPRoute/{kube.namespace}/{route}"
    programmed = wait_for_condition(
        kube, gateway, "Programmed", within=timeouts.ROLLOUT, stuck=lambda: _trouble(kube, name)
    )
    wait_for_condition(kube, httproute, "Accepted")
    wait_for_condition(kube, httproute, "ResolvedRefs")
    wait_for_proxy_pod(kube, name, wanted=_wanted_replicas(programmed.condition))


def _trouble(kube: Kube, gateway: str) -> str:
    """What keeps a proxy pod of the Gateway from running, or nothing."""
    pods = kube.list_pods(kube.namespace, f"{OWNING_GATEWAY}={gateway}")
    return next((one.text for pod in pods for one in find_trouble(pod) if one.stands <= timeouts.TROUBLE_GRACE), "")


def wait_for_proxy_pod(kube: Kube, gateway: str, *, wanted: int = 1) -> None:
    """Waits until every proxy pod of the Gateway is ready, and at least `wanted` are."""
    until(
        lambda: [is_pod_ready(pod) for pod in kube.list_pods(kube.namespace, f"{OWNING_GATEWAY}={gateway}")],
        lambda ready: all(ready) and len(ready) >= wanted,
        what=f"every proxy pod of Gateway {gateway} is ready",
        within=timeouts.ROLLOUT,
        transient=(ApiUnavailable,),
        show=lambda ready: f"{sum(ready)} of {max(len(ready), wanted)} ready",
    )


def wait_for_no_proxy_pods(kube: Kube, gateway: str) -> None:
    """Waits until no proxy pod of a Gateway that was deleted is left, also none that is on its way out."""
    until(
        lambda: kube.list_objects("Pod", kube.namespace, labels=f"{OWNING_GATEWAY}={gateway}"),
        lambda pods: not pods,
        what=f"the proxy pods of Gateway {gateway} are gone",
        within=timeouts.DELETE,
        transient=(ApiUnavailable,),
        show=lambda pods: f"{len(pods)} are left",
    )


def _wanted_replicas(programmed: Condition | None) -> int:
    """How many proxies a Gateway's Programmed condition names: "..., 1/2 envoy replicas available"; else 1."""
    replicas = _REPLICAS.search(programmed.message) if programmed else None
    return int(replicas[1]) if replicas else 1


def wait_for_addresses(kube: Kube, gateway: str) -> list[str]:
    """Waits until a Gateway is Programmed with an address, and returns all that its status names.

    Raises:
        Terminal, NotReady: it is not Programmed, or has no address, in time; the status is quoted.
    """
    name = f"Gateway/{kube.namespace}/{gateway}"
    programmed = wait_for_condition(kube, name, "Programmed", about="")
    addresses = until(
        lambda: [text(one, "value") for one in objects(kube.get(name), "status", "addresses")],
        bool,
        what=f"{name} has an address in its status",
        within=timeouts.STATUS,
        transient=(ApiUnavailable,),
    )
    observations.record_sighting(f"status of {name}", f"{programmed.text}; addresses {', '.join(addresses)}")
    return addresses


def client_at(address: str, port: int) -> IngressClient:
    """A client of exactly this address, as soon as it accepts connections, else after the bound for that: an address is
    assigned before a node announces it. Whoever sends requests judges what they return."""
    with suppress(NotReady):
        until(
            lambda: can_connect(address, port),
            bool,
            what=f"the assigned address {host_port(address, port)} accepts connections",
            within=timeouts.ANNOUNCED,
        )
    return IngressClient(url(address, port), f"assigned address {host_port(address, port)}")


def wait_for_ingress_response(client: IngressClient, path: str) -> Answer:
    """Waits until the path answers 200 through the ingress: what statuses promise, the data plane keeps."""
    return until(
        lambda: client.send(get(path)),
        lambda answer: answer.status == 200,
        what=f"{path} answers 200 through the ingress ({client.via})",
        within=timeouts.XDS_PROPAGATION,
        show=lambda answer: f"{answer.status or answer.error}",
    )
