"""Checks that the stack is healthy after a disruption, and repairs it if not."""

from __future__ import annotations

from harness import progress, timeouts
from harness.clients.mesh import MeshClient
from harness.components import Envoy, Ztunnels
from harness.disruption import hbone_port_takeover, restarts
from harness.errors import NotReady
from harness.kube import Kube
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.namespace_mapping import Placement
from harness.waits import bind_to_waypoint, gateways, rollouts

PARTS = (
    restarts.ISTIOD,
    restarts.ZTUNNEL,
    restarts.REDIS,
    restarts.CONTROLLER,
    restarts.LIMITER,
    restarts.WAYPOINT,
    "Deployment/default/ratings-v1",
)


def repair_stack(kube: Kube, client: MeshClient, ztunnel: Ztunnels, waypoint: Envoy, url: str) -> None:
    """Waits until every part is ready and a request passes the waypoint. A pod of ours whose port 15008 ztunnel cannot
    have is deleted: nothing else heals it. Pods in namespaces that are not ours are left alone.

    Raises:
        NotReady, Terminal: a part did not come back.
    """
    placement = Placement(kube.namespace)
    try:
        rollouts.wait_for_rollout(kube, restarts.ZTUNNEL, within=timeouts.DISTURBED / 4)
    except NotReady:
        found = hbone_port_takeover.read_pods_with_taken_ports(kube, ztunnel)
        culprits = [name for name in found if placement.has(parse_ref(name))]
        progress.note(f"{ztunnel.describe_port_conflict() or 'ztunnel is not ready'}: deleting {culprits}")
        kube.delete(culprits)
    for name in PARTS:
        rollouts.wait_for_rollout(kube, placement.text(name), within=timeouts.DISTURBED)
    gateways.wait_for_proxy_pod(kube, waypoint.gateway)
    bind_to_waypoint.wait_for_waypoint_traffic(client, waypoint, url)
