"""curl sends from the pod's address, to the cluster's names."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from harness.clients.curl_command import curl_arguments, parse_answers
from harness.cluster.emulated.mesh_client import curl
from harness.http_exchange import Answers, get

SOURCE = "127.77.0.9"


def send(url: str, times: int, *, at_once: int, max_time: float = 5, serve: bool = True) -> Answers:
    """Sends to a small server at 127.77.0.8:8080, known as `app`."""

    async def handle(request: web.Request) -> web.Response:
        await asyncio.sleep({"/slow": 3, "/refused": 0.5}.get(request.path, 0))
        values = {"x-agent": request.headers["user-agent"], "x-from": str(request.remote)}
        return web.Response(text="x" * 1000, headers=values, status=503 if request.path == "/refused" else 200)

    def resolve(host: str) -> str:
        return {"app": "127.77.0.8"}[host]

    async def act() -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        if serve:
            await web.TCPSite(runner, "127.77.0.8", 8080).start()
        argv = curl_arguments([get(url)] * times, [f"id-{n}" for n in range(times)], at_once=at_once, max_time=max_time)
        try:
            return (await curl(argv, source=SOURCE, resolve=resolve)).stdout
        finally:
            await runner.cleanup()

    return parse_answers(asyncio.run(act()), [f"id-{n}" for n in range(times)])


def test_requests_in_turn_share_a_connection_and_come_from_the_pod() -> None:
    got = send("http://app:8080/", 3, at_once=1)

    assert got.statuses == [200] * 3
    assert [one.header("x-agent") for one in got] == [f"e2e/id-{n}" for n in range(3)]
    assert {one.header("x-from") for one in got} == {SOURCE}
    assert len({one.local for one in got}) == 1


def test_requests_at_once_have_a_connection_each() -> None:
    got = send("http://app:8080/refused", 5, at_once=5)

    assert got.statuses == [503] * 5
    assert len({one.local for one in got}) == 5


@pytest.mark.parametrize(
    ("url", "error", "serve"),
    [
        ("http://nowhere:8080/", "Could not resolve host: nowhere", True),
        ("http://app:8080/", "Failed to connect to", False),
        ("http://app:8080/slow", "timed out", True),
    ],
)
def test_what_fails_is_reported_in_curls_words(url: str, error: str, serve: bool) -> None:
    (got,) = send(url, 1, at_once=1, max_time=0.3, serve=serve)

    assert got.status is None
    assert error in got.error
