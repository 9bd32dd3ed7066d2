"""Small HTTP pages on a pod's address: admin ports of what is emulated, and fronts of real ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """One page function a port, all on one address."""

    def __init__(self, ip: str, pages: Mapping[int, Page]) -> None:
        self._ip, self._pages = ip, pages
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        for port, page in self._pages.items():
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", page)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            await web.TCPSite(runner, self._ip, port).start()
            self._runners.append(runner)

    async def stop(self) -> None:
        runners, self._runners = self._runners, []
        for runner in runners:
            await runner.cleanup()


def at(pages: Mapping[str, Callable[[], str]]) -> Page:
    """Texts by path; anything else is 404. A text that begins like JSON is sent as JSON."""

    async def page(request: web.Request) -> web.Response:
        text = pages.get(request.path)
        if text is None:
            return web.Response(status=404, text="not found\n")
        body = text()
        return web.Response(text=body, content_type="application/json" if body.startswith("{") else "text/plain")

    return page


class Front:
    """Passes requests on to a real page. While `frozen`, each path answers what it answered first: counters stand."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._kept: dict[str, tuple[int, bytes, str]] = {}
        self.frozen = False

    def freeze(self, frozen: bool) -> None:
        self.frozen, self._kept = frozen, {}

    async def page(self, request: web.Request) -> web.StreamResponse:
        key = request.path_qs
        counters = self.frozen and request.path.startswith("/stats")
        if not (counters and key in self._kept):
            try:
                found = await self._fetch(request)
            except aiohttp.ClientError as error:
                return web.Response(status=502, text=f"{error}\n")
            if not counters:
                return _response(found)
            self._kept[key] = found
        return _response(self._kept[key])

    async def _fetch(self, request: web.Request) -> tuple[int, bytes, str]:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session,
            session.request(request.method, self._base + request.path_qs, data=await request.read()) as answer,
        ):
            return answer.status, await answer.read(), answer.headers.get("Content-Type", "text/plain")


def _response(found: tuple[int, bytes, str]) -> web.Response:
    status, body, type_ = found
    return web.Response(status=status, body=body, headers={"Content-Type": type_})
