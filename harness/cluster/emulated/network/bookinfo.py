"""The emulated Bookinfo apps: their HTTP API, the calls between them, timeouts and keep-alives.

ratings' answer is the recorded one, 48 bytes (tests/recordings/logs/access-waypoint-200.json). Keep-alives are the
recorded ones (2 s gunicorn, 5 s node) divided by the delay factor, and a second more: see envoy.localize.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from aiohttp import web

from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.shortened_idle_timeout import idle_seconds
from harness.errors import BadInput

APPS = ("productpage-v1", "details-v1", "reviews-v1", "reviews-v2", "reviews-v3", "ratings-v1")
PORT = 9080
_KEEP_ALIVE = {"productpage": 2.0, "details": 30.0, "reviews": 30.0, "ratings": 5.0}  # seconds
_MARGIN = 1.0  # seconds
_SERVER = {"productpage": "gunicorn", "details": "WEBrick/1.8.1 (Ruby/3.3)", "reviews": "", "ratings": ""}
_FORWARDED = (
    *("x-request-id", "x-ot-span-context", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled"),
    *("x-b3-flags", "traceparent", "tracestate", "x-cloud-trace-context", "grpc-trace-bin", "sw8"),
    *("user-agent", "end-user", "authorization", "cookie"),
)
_VERSIONS = ("", "v1", "v-delayed")
_TIMEOUT = 3.0  # seconds, productpage's for each call of details and reviews
_WITH_RATINGS = {"reviews-v2": 10.0, "reviews-v3": 2.5}  # seconds for ratings
_Answer = tuple[int, Any]


class App:
    """One Bookinfo pod's container at hidden(pod_ip):9080; what it calls, it calls from pod_ip."""

    def __init__(
        self,
        app: str,
        pod_ip: str,
        *,
        resolve: Callable[[str], str],
        log: Callable[[str], None],
        env: Mapping[str, str] | None = None,
        delay_factor: float = 30,
        slow_seconds: float = 7.0,
    ) -> None:
        """`app` is one of APPS (the image examples-bookinfo-<app>); `resolve(host)` gives a Service's VIP.

        `env` is the container's; SERVICE_VERSION v-delayed makes ratings answer every other call, at random, after
        `slow_seconds`. `resolve` raises KeyError for a name that there is not.

        Raises:
            BadInput: no such app, or a SERVICE_VERSION that is not played here.
        """
        if app not in APPS:
            raise BadInput(f"no Bookinfo app is called {app}")
        self.app = app
        self._kind = app.partition("-")[0]
        self._pod_ip = pod_ip
        self._resolve = resolve
        self._log = log
        self._env = dict(env or {})
        self._version = self._env.get("SERVICE_VERSION", "")
        if self._kind == "ratings" and self._version not in _VERSIONS:
            raise BadInput(f"SERVICE_VERSION={self._version} is not played by the emulated ratings")
        self._keep_alive = max(_KEEP_ALIVE[self._kind] / delay_factor, idle_seconds(delay_factor)) + _MARGIN
        self.slow_seconds = slow_seconds
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Returns when it listens."""
        app = web.Application(middlewares=[self._see])
        app.router.add_get("/health", self._health)
        if self._kind == "productpage":
            app.router.add_get("/productpage", self._productpage)
        elif self._kind == "details":
            app.router.add_get("/details/{id}", self._details)
        elif self._kind == "reviews":
            app.router.add_get("/reviews/{id}", self._reviews)
        else:
            app.router.add_get("/ratings/{id}", self._ratings)
        app.on_response_prepare.append(self._sign)
        connector = aiohttp.TCPConnector(local_addr=(self._pod_ip, 0), force_close=True, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=self._keep_alive, shutdown_timeout=0, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, hidden(self._pod_ip), PORT, backlog=512).start()
        self._log(f"{self.app}: listening on http://0.0.0.0:{PORT}")

    async def stop(self) -> None:
        """Ends it at once, requests in hand too."""
        runner, self._runner = self._runner, None
        if runner:
            await runner.cleanup()
        session, self._session = self._session, None
        if session:
            await session.close()

    @web.middleware
    async def _see(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self._log(f"{request.method} {request.path_qs} {request.headers.get('x-request-id', '-')}")
        return await handler(request)

    async def _sign(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers.pop("Server", None)
        if server := _SERVER[self._kind]:
            response.headers["Server"] = server

    async def _call(self, request: web.Request, host: str, path: str, seconds: float) -> _Answer | None:
        """A request to another app with the tracing headers: (status, JSON), or None if there was no answer."""
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        headers["Host"] = f"{host}:{PORT}"
        assert self._session is not None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, KeyError, ValueError):
            url = f"http://{self._resolve(host)}:{PORT}{path}"
            async with self._session.get(url, headers=headers, timeout=aiohttp.ClientTimeout(seconds)) as answer:
                return answer.status, await answer.json(content_type=None)
        return None

    def _host(self, name: str) -> str:
        domain = self._env.get("SERVICES_DOMAIN", "")
        host = self._env.get(f"{name.upper()}_HOSTNAME", name)
        return f"{host}.{domain}" if domain else host

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": f"{self._kind.capitalize()} is healthy"})

    async def _productpage(self, request: web.Request) -> web.Response:
        """200 whatever becomes of details and reviews; reviews is asked twice, as the original does on purpose."""
        details = await self._call(request, self._host("details"), "/details/0", _TIMEOUT)
        reviews: _Answer | None = None
        for _ in range(2):
            reviews = await self._call(request, self._host("reviews"), "/reviews/0", _TIMEOUT)
            if reviews and reviews[0] == 200:
                break
        page = {"details": details, "reviews": reviews}  # the original's HTML, less its markup: nothing here reads it
        return web.Response(text=f"<title>Simple Bookstore App</title>{json.dumps(page)}", content_type="text/html")

    async def _details(self, request: web.Request) -> web.Response:
        return _json({"id": _number(request), "author": "William Shakespeare", "year": 1595, "pages": 200})

    async def _reviews(self, request: web.Request) -> web.Response:
        ratings: _Answer | None = None
        if self.app in _WITH_RATINGS:
            path = f"/ratings/{request.match_info['id']}"
            ratings = await self._call(request, self._host("ratings"), path, _WITH_RATINGS[self.app])
        name = self._env.get("HOSTNAME", socket.gethostname())
        return _json({"id": request.match_info["id"], "podname": name, "ratings": ratings})

    async def _ratings(self, request: web.Request) -> web.Response:
        if self._version == "v-delayed" and random.random() <= 0.5:
            await asyncio.sleep(self.slow_seconds)
        return _json({"id": _number(request), "ratings": {"Reviewer1": 5, "Reviewer2": 4}})


def _number(request: web.Request) -> int:
    id_ = request.match_info["id"]
    if not id_.isdecimal():
        raise web.HTTPBadRequest(
            text=json.dumps({"error": "please provide numeric product ID"}), content_type="application/json"
        )
    return int(id_)


def _json(body: Any, status: int = 200) -> web.Response:
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(body=text.encode(), status=status, headers={"Content-Type": "application/json"})
