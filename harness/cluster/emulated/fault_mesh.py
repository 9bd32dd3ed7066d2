"""What can be broken of the mesh: ztunnel, istiod."""

from __future__ import annotations

import asyncio
import re

from harness.cluster.emulated.fault_base import Base, later


class MeshFaults(Base):
    """Switches of ztunnel and istiod."""

    async def fault_plaintext_leg(self, to: str = "*") -> None:
        """Calls to this workload or Service go without HBONE."""
        self.world.ztunnel.faults.plaintext_to.add(to)

    async def fault_wrong_identity(self, workload: str, identity: str) -> None:
        """ztunnel's lines name this SPIFFE identity for the workload."""
        self.world.ztunnel.faults.identities[workload] = identity

    async def fault_waypoint_not_bound(self, service: str = "*", reason: str = "WaypointIsNotReady") -> None:
        """istiod does not bind the Service to its waypoint, and says so."""
        self.world.istiod.unbound[service] = reason

    async def fault_refused_waypoint_told(self, service: str) -> None:
        """ztunnel receives the waypoint that istiod denies to the Service."""
        self.world.istiod.heedless.add(service)

    async def fault_bound_elsewhere(self, waypoint: str) -> None:
        """istiod says of every bound Service that it is bound to this waypoint ("namespace/name")."""
        self.world.istiod.elsewhere = waypoint

    async def fault_waypoint_bypassed(self, service: str = "*") -> None:
        """Calls go past the waypoint, which every status calls bound."""
        self.world.ztunnel.faults.bypass_waypoint.add(service)

    async def fault_pod_calls_take_waypoint(self) -> None:
        """Calls to a pod's own address take the waypoint of its Service too."""
        self.world.ztunnel.detour(True)

    async def fault_ztunnel_lines_say(self, old: str, new: str, containing: str = "") -> None:
        """In ztunnel's lines with the text `containing`, what the pattern `old` finds is written as `new`."""

        def rewrite(line: str) -> str:
            return re.sub(old, new, line) if containing in line else line

        self.world.ztunnel.faults.rewrite_line = rewrite

    async def fault_istiod_counts_rejections(self, number: int = 1) -> None:
        """istiod's counters say that proxies have refused configuration this often."""
        self.world.rejections = int(number)

    async def fault_lost_ztunnel_lines(self, containing: str = "") -> None:
        """ztunnel's lines that contain this text are not written (empty: none is)."""
        self.world.ztunnel.faults.lose_line = lambda line: containing in line

    async def fault_no_certificate(self, service_account: str) -> None:
        """ztunnel's dump has no certificate of this account."""
        self.world.ztunnel.faults.no_certificate.add(service_account)

    async def fault_ztunnel_not_ready(self, node: str = "") -> None:
        """ztunnel of the node whose name ends so (empty: the worker) is not ready."""
        self.world.ztunnel.faults.not_ready.add([name for name in self.world.hosts if name.endswith(node)][-1])

    async def fault_ztunnel_gone(self) -> None:
        """There is no ztunnel: its DaemonSet is deleted."""
        kind = self.world.store.named("DaemonSet", "apps")
        was = self.world.store.get(kind, "istio-system", "ztunnel")
        self.world.store.delete(kind, "istio-system", "ztunnel")
        meta = {key: was["metadata"][key] for key in ("name", "namespace", "labels")}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": was["spec"]}
        self._undo.append(later(self.world.store.create, kind, body))

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
