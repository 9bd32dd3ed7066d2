"""The HTTP API by which the harness controls the emulated cluster: install, reach pods, plant faults, reset."""

from __future__ import annotations

import asyncio
import os

import psutil
from aiohttp import web

from harness.cluster.emulated.api.errors import bad
from harness.cluster.emulated.faults import Faults
from harness.cluster.emulated.network.envoy import binary
from harness.cluster.emulated.world import World


class Control:
    """The routes over one world."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world, self.faults = world, faults
        self._one = asyncio.Lock()  # a switch of a caller that went away acts on: nothing is reset in its middle

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/emulated/state", self._state)
        app.router.add_post("/emulated/install", self._install)
        app.router.add_post("/emulated/uninstall", self._uninstall)
        app.router.add_get("/emulated/reach", self._reach)
        app.router.add_post("/emulated/faults", self._fault)
        app.router.add_delete("/emulated/faults", self._calm)
        app.router.add_post("/emulated/mark", self._mark)
        app.router.add_post("/emulated/reset", self._reset)

    async def _state(self, _: web.Request) -> web.Response:
        me = psutil.Process()
        rss = {str(one.pid): one.memory_info().rss for one in [me, *me.children(recursive=True)]}
        return web.json_response(
            {
                "name": self.world.name,
                "pid": os.getpid(),
                "octet": self.world.addresses.octet,
                "rss": rss,
                "faults": list(self.faults.on),
                "problems": self.world.problems,
                "envoy": str(binary()),
                "images": self.world.images,
            }
        )

    async def _install(self, request: web.Request) -> web.Response:
        await self.world.install(await request.json())
        return web.json_response({})

    async def _uninstall(self, request: web.Request) -> web.Response:
        await self.world.uninstall(await request.json())
        return web.json_response({})

    async def _reach(self, request: web.Request) -> web.Response:
        query = request.query
        return web.json_response({"url": self.world.reach(query["namespace"], query["pod"], int(query["port"]))})

    async def _fault(self, request: web.Request) -> web.Response:
        body = await request.json()
        try:
            async with self._one:
                await self.faults.turn_on(body["name"], {key: value for key, value in body.items() if key != "name"})
        except (KeyError, TypeError, ValueError) as error:
            raise bad(f"fault {body!r}: {error}; known: {self.faults.known()}") from error
        return web.json_response({"on": list(self.faults.on)})

    async def _calm(self, _: web.Request) -> web.Response:
        async with self._one:
            await self.faults.turn_off()
        return web.json_response({"on": []})

    async def _mark(self, _: web.Request) -> web.Response:
        async with self._one:
            await self.world.marked.mark()
        return web.json_response({})

    async def _reset(self, _: web.Request) -> web.Response:
        async with self._one:
            await self.faults.turn_off()
            await self.world.marked.reset()
        return web.json_response({})
