"""What every group of faults works on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from harness.cluster.emulated.container_programs import EnvoyProgram
from harness.cluster.emulated.network import rate_limit_service
from harness.cluster.emulated.world import World


class Base:
    """The world, what is on (switch to parameters), and what puts it right again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.on: dict[str, dict[str, Any]] = {}
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def _envoy(self, gateway: str) -> EnvoyProgram:
        for (_, name), envoy in self.world.around.envoys.items():
            if name == gateway:
                return envoy
        raise ValueError(f"Gateway {gateway} has no running proxy")

    async def _sent(self, envoy: EnvoyProgram, mark: str) -> None:
        """Sends the Envoy all that it has already, its listeners with another mark: it takes them for new ones."""
        xds = self.world.dataplane.xds(self.world.envoy_gateway.managed()[envoy.gateway])
        listeners = tuple(one | {"stat_prefix": mark} for one in xds.listeners)
        await envoy.process.apply(replace(xds, listeners=listeners))

    def _limiter(self) -> rate_limit_service.RateLimitFaults:
        for one in self.world.around.limiters.values():
            if one.limiter:
                return one.limiter.faults
        raise ValueError("the rate limit service does not run")

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _cancel(self) -> None:
        """Ends what a switch has begun and not done yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def later(act: Callable[..., object], *arguments: Any) -> Callable[[], Awaitable[None]]:
    """The call, to be made when everything is put right."""

    async def undo() -> None:
        act(*arguments)

    return undo
