"""Sends changes of the objects to the emulated network: ztunnel first, then the rate limit service and proxies."""

from __future__ import annotations

import logging

from harness.cluster.emulated.controllers.envoy_gateway import EnvoyGateway
from harness.cluster.emulated.network.model import MeshWorkload, ServiceEntry
from harness.cluster.emulated.network_input import DataPlane
from harness.cluster.emulated.programs_by_image import Surroundings

_log = logging.getLogger(__name__)


class MeshUpdates:
    """`pushes` counts how often the ztunnels received something new."""

    def __init__(self, dataplane: DataPlane, envoy_gateway: EnvoyGateway, around: Surroundings) -> None:
        self._dataplane, self._envoy_gateway, self._around = dataplane, envoy_gateway, around
        self._told: tuple[list[MeshWorkload], list[ServiceEntry]] | None = None
        self.pushes = 0

    async def tell(self, problems: dict[str, str]) -> bool:
        """Updates all of them; what one could not take is written into `problems`. False: try again later."""
        complete = True
        # Workloads first: who binds port 15008 first has it, and in a real cluster that is ztunnel.
        for who, act in (("ztunnel", self._ztunnel), ("limiter", self._limiters), ("proxies", self._proxies)):
            try:
                await act()
            except Exception as error:  # noqa: BLE001  # reported in /emulated/state and the log: one must not stop the others
                if problems.get(who) != repr(error):
                    _log.exception("%s", who)
                problems[who] = repr(error)
                complete = False
            else:
                problems.pop(who, None)
        return complete

    async def _ztunnel(self) -> None:
        self._around.ztunnel.set_policies(self._dataplane.policies())
        update = (self._dataplane.workloads(), self._dataplane.services())
        if update == self._told:
            return
        await self._around.ztunnel.set_workloads(update[0])
        await self._around.ztunnel.set_services(update[1])
        self._told = update
        self.pushes += 1

    async def _limiters(self) -> None:
        rules = self._dataplane.limits() if self._around.limiters else []
        for one in self._around.limiters.values():
            if one.limiter:
                one.limiter.set_rules(rules)

    async def _proxies(self) -> None:
        if not self._envoy_gateway.active:
            return  # proxies keep what they received last
        managed = self._envoy_gateway.managed()
        known = {workload.ip for workload in self._told[0]} if self._told else set()
        for where, envoy in list(self._around.envoys.items()):
            # One that began since ztunnel was sent the pods has its turn in the next round, which it has asked for:
            # updated before ztunnel, it would take port 15008 from it.
            if where in managed and envoy.process.pod_ip in known:
                await envoy.process.apply(self._dataplane.xds(managed[where]))
