"""curl sends from the pod's address, to the cluster's names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from harness.clients.curl_command import curl_arguments, parse_answers
from harness.cluster.emulated.__main__ import hold
from harness.cluster.emulated.mesh_client import curl
from harness.http_exchange import Answers, get
from tests.patience import SOON


@pytest.fixture
def block(tmp_path: Path) -> Iterator[str]:
    """The beginning of loopback addresses that nobody else has."""
    held, octet = hold(str(tmp_path))
    with held:
        yield f"127.{octet}.0"


def send(block: str, url: str, times: int, *, at_once: int, max_time: float = SOON, serve: bool = True) -> Answers:
    """Sends to a small server known as `app`. /together answers once all requests are there, /slow much later."""

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/together":
            await together.wait()
        await asyncio.sleep(SOON if request.path == "/slow" else 0)
        values = {"x-agent": request.headers["user-agent"], "x-from": str(request.remote)}
        return web.Response(text="x" * 1000, headers=values, status=503 if request.path == "/together" else 200)

    def resolve(host: str) -> str:
        return {"app": f"{block}.8"}[host]

    together = asyncio.Barrier(times)

    async def act() -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        if serve:
            await web.TCPSite(runner, f"{block}.8", 8080).start()
        argv = curl_arguments([get(url)] * times, [f"id-{n}" for n in range(times)], at_once=at_once, max_time=max_time)
        try:
            return (await curl(argv, source=f"{block}.9", resolve=resolve)).stdout
        finally:
            await runner.cleanup()

    return parse_answers(asyncio.run(act()), [f"id-{n}" for n in range(times)])


def test_requests_in_turn_share_a_connection_and_come_from_the_pod(block: str) -> None:
    got = send(block, "http://app:8080/", 3, at_once=1)

    assert got.statuses == [200] * 3
    assert [one.header("x-agent") for one in got] == [f"e2e/id-{n}" for n in range(3)]
    assert {one.header("x-from") for one in got} == {f"{block}.9"}
    assert len({one.local for one in got}) == 1


def test_requests_at_once_have_a_connection_each(block: str) -> None:
    got = send(block, "http://app:8080/together", 5, at_once=5)

    assert got.statuses == [503] * 5
    assert len({one.local for one in got}) == 5


@pytest.mark.parametrize(
    ("url", "max_time", "error", "serve"),
    [
        ("http://nowhere:8080/", SOON, "Could not resolve host: nowhere", True),
        ("http://app:8080/", SOON, "Failed to connect to", False),
        ("http://app:8080/slow", 0.3, "timed out", True),
    ],
)
def test_what_fails_is_reported_in_curls_words(block: str, url: str, max_time: float, error: str, serve: bool) -> None:
    (got,) = send(block, url, 1, at_once=1, max_time=max_time, serve=serve)

    assert got.status is None
    assert error in got.error
