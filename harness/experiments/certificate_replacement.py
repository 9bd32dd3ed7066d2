"""Replaces a server's certificate in its Secret, and waits until new connections get the new one."""

from __future__ import annotations

from harness import observations, record_replay, timeouts
from harness.clients.certificates import COMMON_NAME, Authority
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Request
from harness.kube import Kube
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.unstructured import mapping
from harness.wait import until

EVERY = 0.2  # seconds between two looks: how exact the time is


def replace_certificate(
    kube: Kube, authority: Authority, secret: str, name: str, place: Place, request: Request
) -> Arm:
    """Gives the Secret a certificate of that common name, and sends the request once new connections are served it.

    Raises:
        NotReady: they are not in time.
    """
    named, there = parse_ref(secret), kube.get(secret)
    annotations = {**mapping(there, "metadata", "annotations"), COMMON_NAME: name}
    metadata = {"name": named.name, "namespace": named.namespace, "annotations": annotations}
    document = {part: there[part] for part in ("apiVersion", "kind", "type", "data")} | {"metadata": metadata}
    started = record_replay.monotonic()
    kube.apply([authority.complete(document)])
    until(
        lambda: place.send_one(request),
        lambda answer: answer.served_by == name,
        what=f"{place.gateway} serves the certificate of {name}",
        within=timeouts.XDS_PROPAGATION,
        every=EVERY,
        show=lambda answer: answer.served_by or answer.error,
    )
    observations.record_seconds("certificate applied to served", record_replay.monotonic() - started, of=place.gateway)
    return place.send([request])
