"""What can be broken on purpose while the cluster runs, by name. Each proves that the harness notices.

Switched by POST /emulated/faults {"name": ..., parameters}; DELETE /emulated/faults puts everything right again.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from harness.cluster.emulated.controllers.envoy_gateway import Switches
from harness.cluster.emulated.dataplane import Bend
from harness.cluster.emulated.network import limiter, ztunnel
from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.pages import Pages
from harness.cluster.emulated.programs import Envoy
from harness.cluster.emulated.world import World

_ID = re.compile(r'"x-request-id":"([^"]*)"')
_AGENT = re.compile(r'"user-agent":"([^"]*)"')


class Faults:
    """The switches. `on` holds those that are on, with their parameters."""

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
        for undo in reversed(self._undo):
            await undo()
        self._undo.clear()
        world.envoy_gateway.switches = Switches()
        world.istiod.unbound.clear()
        world.istiod.elsewhere = ""
        world.dataplane.bend = Bend()
        world.ztunnel.faults = ztunnel.Faults()
        world.unpullable.clear()
        world.rejections = 0
        world.ztunnel.detour(False)
        for one in world.around.limiters.values():
            await one.fail(False)
            if one.limiter:
                one.limiter.faults = limiter.Faults()
        for envoy in world.around.envoys.values():
            envoy.process.lose_line = envoy.process.rewrite_line = None
            for front in envoy.fronts.values():
                front.freeze(False)
        world.wake()
        await world.settled()

    # -- the mesh -----------------------------------------------------------------------------------------------

    async def fault_plaintext_leg(self, to: str = "*") -> None:
        """Calls to this workload or Service go without HBONE."""
        self.world.ztunnel.faults.plaintext_to.add(to)

    async def fault_wrong_identity(self, workload: str, identity: str) -> None:
        """ztunnel's lines name this SPIFFE identity for the workload."""
        self.world.ztunnel.faults.identities[workload] = identity

    async def fault_waypoint_not_bound(self, service: str = "*") -> None:
        """istiod does not bind the Service to its waypoint, and says so."""
        self.world.istiod.unbound.add(service)

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

    async def fault_not_hbone(self, workload: str) -> None:
        """ztunnel's dump shows the workload with protocol TCP."""
        self.world.ztunnel.faults.not_hbone.add(workload)

    async def fault_ztunnel_not_ready(self, node: str = "") -> None:
        """ztunnel of the node (empty: the worker) is not ready."""
        self.world.ztunnel.faults.not_ready.add(node or list(self.world.hosts)[-1])

    async def fault_ztunnel_gone(self) -> None:
        """There is no ztunnel: its DaemonSet is deleted."""
        kind = self.world.store.named("DaemonSet", "apps")
        was = self.world.store.get(kind, "istio-system", "ztunnel")
        self.world.store.delete(kind, "istio-system", "ztunnel")
        meta = {key: was["metadata"][key] for key in ("name", "namespace", "labels")}
        body = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, "spec": was["spec"]}
        self._undo.append(_later(self.world.store.create, kind, body))

    async def fault_port_15008(self, gateway: str = "waypoint") -> None:
        """Finding 1: ztunnel dies without grace, routes change before it is back, Envoy takes its port. Lasts until the
        waypoint's pod is deleted; needs the listener form of the waypoint."""
        envoy = self._envoy(gateway)
        node = envoy.run.node
        await self.world.ztunnel.kill(node)
        managed = self.world.envoy_gateway.managed()[envoy.gateway]
        told = self.world.dataplane.xds(managed)
        for number in range(3):  # each change makes Envoy try the listener again
            listeners = tuple(one | {"stat_prefix": f"again-{number}"} for one in told.listeners)
            await envoy.process.apply(type(told)(listeners, told.routes, told.clusters, told.endpoints))
            await asyncio.sleep(0.3)
        await self.world.ztunnel.start(node)

    # -- Envoy Gateway ------------------------------------------------------------------------------------------

    async def fault_stale_generation(self, of: str = "*") -> None:
        """Conditions of the object ("HTTPRoute/ratings") speak of the generation before the present one."""
        self.world.envoy_gateway.switches.stale.add(of)

    async def fault_class_not_accepted(self, gateway_class: str = "*") -> None:
        """The GatewayClass is not Accepted."""
        self.world.envoy_gateway.switches.refused_classes.add(gateway_class)

    async def fault_status_says(
        self, of: str, type: str, status: str = "True", reason: str = "", message: str = ""
    ) -> None:
        """Conditions of this type, wherever the object ("Gateway/lb-ingress", "*") has them, say this instead."""
        said = {"status": status, "reason": reason or type, "message": message}
        self.world.envoy_gateway.switches.lies[of, type] = said

    async def fault_slow_status(self, seconds: float) -> None:
        """Statuses of new objects and generations come this much later."""
        self.world.envoy_gateway.switches.slow = float(seconds)

    async def fault_not_enforced(self, policy: str = "*") -> None:
        """The policy is Accepted, and Envoy is never told of it."""
        self.world.dataplane.bend.unenforced.add(policy)

    async def fault_wrong_route(self, policy: str, route: str) -> None:
        """The policy acts on another HTTPRoute than the one it targets."""
        self.world.dataplane.bend.retargeted[policy] = route

    async def fault_route_dropped(self, route: str) -> None:
        """The HTTPRoute is Accepted, and Envoy is not told of it."""
        self.world.dataplane.bend.dropped.add(route)

    async def fault_breaker_refuses_nothing(self) -> None:
        """Circuit breakers are Accepted, and no cluster has their thresholds."""
        self.world.dataplane.bend.without.add("circuitBreaker")

    async def fault_policy_outlives_removal(self) -> None:
        """Policies act on after they are deleted."""
        self.world.dataplane.bend.keep_removed = True

    async def fault_xds_rejected(self, gateway: str = "*") -> None:
        """Envoy is sent a listener that it refuses; statuses stay green."""
        self.world.dataplane.bend.rejected.add(gateway)

    # -- the limiter --------------------------------------------------------------------------------------------

    async def fault_limit_off_by(self, by: int) -> None:
        """This many more (fewer, if negative) requests pass than the rule says."""
        self._limiter().off_by = int(by)

    async def fault_shared_bucket(self) -> None:
        """All callers share one bucket."""
        self._limiter().shared_bucket = True

    async def fault_limiter_down(self) -> None:
        """The limiter does not answer, and its pod is Ready: Envoy lets everything pass."""
        for one in self.world.around.limiters.values():
            await one.fail(True)

    async def fault_window_rolls_over(self, after: float = 0.0, hits: int | None = None) -> None:
        """The limiter's window ends `after` seconds, or `hits` requests, from now."""
        faults = self._limiter()
        if hits is not None:
            faults.roll_after = int(hits)
            return

        def roll() -> None:
            faults.clock_ahead = 3600.0

        asyncio.get_running_loop().call_later(float(after), roll)

    async def fault_counts_forgotten(self) -> None:
        """Redis is emptied."""
        await self.world.forget_counts()

    # -- proxies ------------------------------------------------------------------------------------------------

    async def fault_proxy_restarts(self, gateway: str, after: float = 0.0) -> None:
        """The Gateway's Envoy is killed and begins again, `after` seconds from now."""
        envoy = self._envoy(gateway)

        async def restart() -> None:
            await asyncio.sleep(float(after))
            await envoy.restart()
            self.world.kubelet.restarted(envoy.run.uid, "envoy")

        task = self._task(restart())
        if not after:
            await task

    async def fault_lost_access_lines(self, gateway: str, containing: str = "") -> None:
        """Access-log lines that contain this text are not written (empty: none is)."""
        self._envoy(gateway).process.lose_line = lambda line: line.startswith("{") and containing in line

    async def fault_access_lines_say(
        self, field: str, value: Any, gateway: str = "*", status: int | None = None
    ) -> None:
        """This field of access-log lines (of answers with this status) has this value. "*": every Gateway's."""

        def rewrite(line: str) -> str:
            entry = json.loads(line) if line.startswith("{") else {}
            if not entry or status not in (None, entry["response_code"]):
                return line
            return json.dumps(entry | {field: value}, separators=(",", ":"))

        for (_, name), envoy in self.world.around.envoys.items():
            if gateway in ("*", name):
                envoy.process.rewrite_line = rewrite

    async def fault_swapped_ids(self, gateway: str) -> None:
        """Each access-log line bears the ids of the one before."""
        last: dict[str, str] = {}

        def rewrite(line: str) -> str:
            if not line.startswith("{"):
                return line
            for key, pattern in (("id", _ID), ("agent", _AGENT)):
                found = pattern.search(line)
                if found:
                    before, last[key] = last.get(key, found[1]), found[1]
                    line = line[: found.start(1)] + before + line[found.end(1) :]
            return line

        self._envoy(gateway).process.rewrite_line = rewrite

    async def fault_counters_stand(self, gateway: str = "") -> None:
        """Counters do not move: those of the Gateway's Envoy, or (empty) of all and of the limiter."""
        for where, envoy in self.world.around.envoys.items():
            if gateway in ("", where[1]):
                for front in envoy.fronts.values():
                    front.freeze(True)
        for one in self.world.around.limiters.values() if not gateway else ():
            if one.limiter:
                one.limiter.faults.frozen_metrics = True

    async def fault_refused_reach_backend(self, gateway: str) -> None:
        """Requests that this Gateway's Envoy refuses (429, 503) are sent on to the backend all the same."""
        self.world.dataplane.bend.leaking.add(gateway)

    # -- pods ---------------------------------------------------------------------------------------------------

    async def fault_backend_answers(self, workload: str = "ratings-v1", status: int = 503, seconds: float = 0) -> None:
        """The app behind the workload answers everything with this status, after so long: not Envoy's refusal."""

        async def refuse(_: web.Request) -> web.Response:
            await asyncio.sleep(float(seconds))
            return web.Response(status=int(status), text="the app itself answers so\n")

        for uid, one in list(self.world.around.apps.items()):
            if one.name.startswith(f"{workload}-"):
                run = self.world.kubelet.runs[uid]
                await one.app.stop()
                stub = Pages(hidden(run.ip), {9080: refuse})
                await stub.start()
                self._undo += [one.app.start, stub.stop]

    async def fault_slow_answers_take(self, seconds: float) -> None:
        """v-delayed answers after this long instead of 7 s (or as quickly as ever: 0)."""
        for one in self.world.around.apps.values():
            self._undo.append(_later(setattr, one.app, "slow_seconds", one.app.slow_seconds))
            one.app.slow_seconds = float(seconds)

    async def fault_image_missing(self, workload: str) -> None:
        """The workload's pods begin anew and cannot pull their image."""
        self.world.unpullable.add(workload)
        kind = self.world.store.named("Pod")
        for pod in self.world.store.all("pods"):
            if workload in pod["metadata"]["name"]:
                self.world.store.delete(kind, pod["metadata"]["namespace"], pod["metadata"]["name"])

    # -- parts --------------------------------------------------------------------------------------------------

    def _envoy(self, gateway: str) -> Envoy:
        for (_, name), envoy in self.world.around.envoys.items():
            if name == gateway:
                return envoy
        raise ValueError(f"Gateway {gateway} has no running proxy")

    def _limiter(self) -> limiter.Faults:
        for one in self.world.around.limiters.values():
            if one.limiter:
                return one.limiter.faults
        raise ValueError("the limiter does not run")

    def _task(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _later(act: Callable[..., object], *arguments: Any) -> Callable[[], Awaitable[None]]:
    async def undo() -> None:
        act(*arguments)

    return undo
