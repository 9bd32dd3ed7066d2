"""Faults that can be planted in the running emulated cluster, by name.

Switched by POST /emulated/faults {"name": ..., parameters}; DELETE /emulated/faults puts everything right again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from harness.cluster.emulated.http_pages import Pages
from harness.cluster.emulated.network import rate_limit_service, ztunnel
from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.model import HBONE_PORT
from harness.cluster.emulated.network_input import Bend
from harness.cluster.emulated.programs_by_image import BookinfoProgram, EnvoyProgram
from harness.cluster.emulated.world import World

_PORT_TAKEN = 120.0  # seconds until Envoy has the port that ztunnel left


class Faults:
    """All switches. `on` holds those that are on, with their parameters."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.on: dict[str, dict[str, Any]] = {}
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

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

    # -- ztunnel and istiod -------------------------------------------------------------------------------------

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

    async def fault_certificates_expired(self) -> None:
        """No ztunnel has renewed a certificate for two days."""
        self.world.ztunnel.age(timedelta(days=2))
        self._undo.append(later(self.world.ztunnel.age, -timedelta(days=2)))

    async def fault_ztunnel_not_ready(self, node: str = "") -> None:
        """ztunnel of the node whose name ends so (empty: the worker) is not ready."""
        self.world.ztunnel.faults.not_ready.add([name for name in self.world.hosts if name.endswith(node)][-1])

    async def fault_port_15008(self, gateway: str = "waypoint") -> None:
        """ztunnel is killed, routes change before it is back, Envoy takes its port (docs/port-15008.md). Lasts until
        the waypoint's pod is deleted; needs the listener form of the waypoint."""
        envoy = self._envoy(gateway)
        node = envoy.run.node
        await self.world.ztunnel.kill(node)
        try:
            async with asyncio.timeout(_PORT_TAKEN):
                for number in itertools.count():  # each change makes Envoy try the listener again
                    await self._sent(envoy, f"again-{number}")
                    await asyncio.sleep(0.3)
                    if envoy.process.listens_on(HBONE_PORT):
                        break
        except TimeoutError:
            raise ValueError(f"Envoy of Gateway {gateway} does not listen on {HBONE_PORT}") from None
        finally:
            await self.world.ztunnel.start(node)

    # -- Envoys ---------------------------------------------------------------------------------------------------

    async def fault_proxy_restarts(self, gateway: str, after: float = 0.0, away: float = 0.0) -> None:
        """The Gateway's Envoy is killed, `after` seconds from now, and begins again, `away` seconds later."""
        envoy = self._envoy(gateway)

        async def restart() -> None:
            await asyncio.sleep(float(after))
            await envoy.restart(float(away))
            self.world.kubelet.restarted(envoy.run.uid, "envoy")

        task = self._task(restart())
        if not after:
            await task

    async def fault_sent_again(self, gateway: str, every: float = 0.02) -> None:
        """The Gateway's Envoy is sent its listeners again `every` so many seconds, though nothing changed."""
        envoy = self._envoy(gateway)

        async def send() -> None:
            for number in itertools.count():
                await self._sent(envoy, f"again-{number}")
                await asyncio.sleep(float(every))

        self._task(send())

    # -- pods ---------------------------------------------------------------------------------------------------

    async def fault_backend_answers(
        self,
        workload: str = "ratings-v1",
        status: int = 503,
        seconds: float = 0,
        headers: dict[str, str] | None = None,
        every: int = 1,
        after: int = 0,
    ) -> None:
        """The app behind the workload answers everything with this status and these headers, after so long: not Envoy's
        refusal. `every` 2: every other request, the first one with 200. `after`: 200 so often for each x-user-id."""
        asked: Counter[str] = Counter()

        async def refuse(request: web.Request) -> web.Response:
            await asyncio.sleep(float(seconds))
            asked[""] += 1
            asked[user := f"user {request.headers.get('x-user-id')}"] += 1
            answered = 200 if asked[""] % int(every) or asked[user] <= int(after) else int(status)
            return web.Response(status=answered, headers=headers, text="the app itself answers so\n")

        if "backend_answers" in self.on:
            raise ValueError("an app answers so already")
        for uid, one in list(self.world.around.apps.items()):
            if one.name.startswith(f"{workload}-"):
                run = self.world.kubelet.runs[uid]
                await one.app.stop()
                stub = Pages(hidden(run.ip), {9080: refuse})
                await stub.start()
                self._undo.append(functools.partial(self._back, uid, one, stub))

    async def _back(self, uid: str, one: BookinfoProgram, stub: Pages) -> None:
        """The app serves again, if its pod is still there."""
        await stub.stop()
        if self.world.around.apps.get(uid) is one:
            await one.app.start()

    async def fault_slow_answers_take(self, seconds: float) -> None:
        """v-delayed answers after this long instead of 7 s (or as quickly as ever: 0)."""
        for one in self.world.around.apps.values():
            self._undo.append(later(setattr, one.app, "slow_seconds", one.app.slow_seconds))
            one.app.slow_seconds = float(seconds)

    async def fault_log_says(self, workload: str, line: str) -> None:
        """The workload's pods write this line."""
        for run in self.world.kubelet.runs.values():
            for log in run.logs.values() if run.name.startswith(f"{workload}-") else ():
                log.write(line)

    # -- parts --------------------------------------------------------------------------------------------------

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
