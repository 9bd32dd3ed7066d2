"""What can be broken of the mesh: ztunnel, istiod."""

from __future__ import annotations

import asyncio

from harness.cluster.emulated.fault_base import Base


class MeshFaults(Base):
    """Switches of ztunnel and istiod."""

    async def fault_plaintext_leg(self, to: str = "*") -> None:
        """Calls to this workload or Service go without HBONE."""
        self.world.ztunnel.faults.plaintext_to.add(to)

    async def fault_waypoint_not_bound(self, service: str = "*", reason: str = "WaypointIsNotReady") -> None:
        """istiod does not bind the Service to its waypoint, and says so."""
        self.world.istiod.unbound[service] = reason

    async def fault_refused_waypoint_told(self, service: str) -> None:
        """ztunnel receives the waypoint that istiod denies to the Service."""
        self.world.istiod.heedless.add(service)

    async def fault_waypoint_bypassed(self, service: str = "*") -> None:
        """Calls go past the waypoint, which every status calls bound."""
        self.world.ztunnel.faults.bypass_waypoint.add(service)

    async def fault_pod_calls_take_waypoint(self) -> None:
        """Calls to a pod's own address take the waypoint of its Service too."""
        self.world.ztunnel.detour(True)

    async def fault_istiod_counts_rejections(self, number: int = 1) -> None:
        """istiod's counters say that proxies have refused configuration this often."""
        self.world.rejections = int(number)

    async def fault_ztunnel_not_ready(self, node: str = "") -> None:
        """ztunnel of the node whose name ends so (empty: the worker) is not ready."""
        self.world.ztunnel.faults.not_ready.add([name for name in self.world.hosts if name.endswith(node)][-1])

    async def fault_port_15008(self, gateway: str = "waypoint") -> None:
        """ztunnel is killed, routes change before it is back, Envoy takes its port (docs/port-15008.md). Lasts until
        the waypoint's pod is deleted; needs the listener form of the waypoint."""
        envoy = self._envoy(gateway)
        node = envoy.run.node
        await self.world.ztunnel.kill(node)
        for number in range(3):  # each change makes Envoy try the listener again
            await self._sent(envoy, f"again-{number}")
            await asyncio.sleep(0.3)
        await self.world.ztunnel.start(node)
