"""Sends probe requests until one returns the expected status."""

from __future__ import annotations

from harness import timeouts
from harness.clients.http import IngressClient
from harness.clients.mesh import MeshClient
from harness.http_exchange import Answer, Request
from harness.kube import ApiUnavailable
from harness.wait import until


def wait_for_response(client: MeshClient | IngressClient, request: Request, *, status: int | None) -> Answer:
    """Waits until the request is answered with this status; None: until it gets no HTTP answer at all."""
    return until(
        lambda: client.send(request),
        lambda answer: answer.status == status,
        what=f"{request.url} answers {status or 'nothing'}",
        within=timeouts.XDS_PROPAGATION,
        transient=(ApiUnavailable,),
        show=lambda answer: f"{answer.status or answer.error}",
    )
