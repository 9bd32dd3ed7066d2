"""What was broken on purpose is whole again, or is made so."""

from __future__ import annotations

from harness import progress, timeouts
from harness.clients.mesh import MeshClient
from harness.clients.proxies import Envoy, Ztunnels
from harness.errors import NotReady
from harness.kube import Kube
from harness.stack import disturb, port_15008, ready, topology

PARTS = (
    disturb.ISTIOD,
    disturb.ZTUNNEL,
    disturb.REDIS,
    disturb.CONTROLLER,
    disturb.LIMITER,
    disturb.WAYPOINT,
    "Deployment/default/ratings-v1",
)


def whole(kube: Kube, client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy, url: str) -> None:
    """Waits until every part is ready and a call passes the waypoint. A pod whose port 15008 ztunnel cannot have is
    deleted: nothing else heals it.

    Raises:
        NotReady, Terminal: a part did not come back.
    """
    try:
        ready.workload(kube, disturb.ZTUNNEL, within=timeouts.DISTURBED / 4)
    except NotReady:
        culprits = port_15008.culprits(kube, ztunnel)
        progress.note(f"{ztunnel.hindrance() or 'ztunnel is not ready'}: deleting {culprits}")
        kube.delete(culprits)
    for name in PARTS:
        ready.workload(kube, name, within=timeouts.DISTURBED)
    topology.proxy(kube, waypoint.gateway)
    topology.passes(client, waypoint, url)
