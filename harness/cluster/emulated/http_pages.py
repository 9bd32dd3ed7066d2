"""Serves small HTTP pages, such as admin pages, on an emulated pod's address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

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
