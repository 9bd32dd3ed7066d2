"""What can be broken on purpose while the cluster runs, by name. Each proves that the harness notices.

Switched by POST /emulated/faults {"name": ..., parameters}; DELETE /emulated/faults puts everything right again.
"""

from __future__ import annotations

import inspect
from typing import Any

from harness.cluster.emulated.fault_mesh import MeshFaults
from harness.cluster.emulated.fault_proxies import ProxyFaults
from harness.cluster.emulated.network import rate_limit_service, ztunnel
from harness.cluster.emulated.network_input import Bend


class Faults(MeshFaults, ProxyFaults):
    """All switches. `on` holds those that are on, with their parameters."""

    def known(self) -> dict[str, str]:
        """Each switch with its parameters and what it does."""
        return {
            name.removeprefix("fault_"): f"{inspect.signature(getattr(self, name))} {inspect.getdoc(member)}"
            for name, member in inspect.getmembers(type(self), inspect.iscoroutinefunction)
            if name.startswith("fault_")
        }

    async def turn_on(self, name: str, parameters: dict[str, Any]) -> None:
        """Breaks one thing.

        Raises:
            KeyError: there is no such switch. TypeError, ValueError: its parameters are wrong.
        """
        switch = getattr(self, f"fault_{name}", None)
        if switch is None:
            raise KeyError(name)
        inspect.signature(switch).bind(**parameters)
        await switch(**parameters)
        self.on[name] = parameters
        self.world.wake()
        await self.world.settled()

    async def turn_off(self) -> None:
        """Puts everything right again."""
        world = self.world
        self.on.clear()
        await self._cancel()
        while self._undo:
            await self._undo.pop()()  # taken out first: one that fails must not fail every later call
        world.envoy_gateway.slow = 0.0
        world.istiod.unbound.clear()
        world.istiod.heedless.clear()
        world.dataplane.bend = Bend()
        world.ztunnel.faults = ztunnel.ZtunnelFaults()
        world.rejections = 0
        world.ztunnel.detour(False)
        for one in list(world.around.limiters.values()):
            await one.fail(False)
            if one.limiter:
                one.limiter.faults = rate_limit_service.RateLimitFaults()
        world.wake()
        await world.settled()

    # -- Envoy Gateway ------------------------------------------------------------------------------------------

    async def fault_slow_status(self, seconds: float) -> None:
        """Statuses of new objects and generations come this much later."""
        self.world.envoy_gateway.slow = float(seconds)

    async def fault_not_enforced(self, policy: str = "*") -> None:
        """The policy is Accepted, but Envoy never receives it."""
        self.world.dataplane.bend.unenforced.add(policy)

    async def fault_policy_outlives_removal(self) -> None:
        """Policies act on after they are deleted."""
        self.world.dataplane.bend.keep_removed = True

    async def fault_xds_rejected(self, gateway: str = "*") -> None:
        """Envoy is sent a listener that it refuses; conditions stay True."""
        self.world.dataplane.bend.rejected.add(gateway)

    async def fault_warms_for_ever(self, gateway: str = "*") -> None:
        """Envoy is sent a cluster whose endpoints never come; what runs already serves on, and takes no more clusters.
        Lasts until its pod is deleted."""
        self.world.dataplane.bend.warming.add(gateway)

    # -- the rate limit service ---------------------------------------------------------------------------------

    async def fault_limit_off_by(self, by: int) -> None:
        """This many more (fewer, if negative) requests pass than the rule says."""
        self._limiter().off_by = int(by)

    async def fault_shared_bucket(self) -> None:
        """All clients share one bucket."""
        self._limiter().shared_bucket = True

    async def fault_limiter_down(self) -> None:
        """The rate limit service does not answer, and its pod is Ready: Envoy lets everything pass."""
        for one in list(self.world.around.limiters.values()):
            await one.fail(True)
