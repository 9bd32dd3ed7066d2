"""The Bookinfo apps, called over the emulated network."""

import asyncio
from pathlib import Path

import pytest

from harness.cluster.emulated.network import bookinfo
from harness.cluster.emulated.network.bookinfo import App
from harness.errors import BadInput
from tests.cluster.emulated.network import mesh as m
from tests.patience import SOON


def test_productpage_asks_the_others_with_its_callers_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """x-request-id and user-agent go all the way to ratings."""
    monkeypatch.setattr(bookinfo, "_TIMEOUT", SOON)
    monkeypatch.setattr(bookinfo, "_WITH_RATINGS", {"reviews-v3": SOON})

    async def check() -> None:
        async with m.mesh(tmp_path) as mesh:
            for name in ("productpage", "details", "reviews", "ratings"):
                mesh.pod(name)
                mesh.service(name, name)
            await mesh.sync()
            await mesh.ztunnel.start("one")
            for name in ("productpage", "details", "ratings"):
                await mesh.app(f"{name}-v1", name)
            await mesh.app("reviews-v3", "reviews")
            url = f"http://{mesh.services['productpage'].vip}:9080/productpage"

            async with mesh.get(None, url, x_request_id="r-1", user_agent="e2e/r-1") as answer:
                assert answer.status == 200
                assert '"Reviewer1": 5' in await answer.text()
            for name in ("productpage", "details", "reviews", "ratings"):
                assert mesh.logs[name][-1].endswith(" r-1")

            await mesh.apps["ratings"].stop()
            async with mesh.get(None, url) as answer:
                assert answer.status == 200
                assert '"ratings": null' in await answer.text()
            await mesh.apps["reviews"].stop()
            async with mesh.get(None, url) as answer:
                assert answer.status == 200
                assert '"reviews": null' in await answer.text()

    asyncio.run(check())


def test_v_delayed_answers_half_of_its_calls_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cli/hey-baseline-v-delayed.txt: two groups, nothing in between, all 200."""
    late: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        late.extend([seconds] if seconds == 7.25 else [])
        await sleep(0 if seconds == 7.25 else seconds)

    async def check() -> None:
        async with m.mesh(tmp_path) as mesh:
            mesh.pod("ratings")
            mesh.service("ratings", "ratings")
            await mesh.sync()
            await mesh.ztunnel.start("one")
            await mesh.app("ratings-v1", "ratings", env={"SERVICE_VERSION": "v-delayed"}, slow_seconds=7.25)
            monkeypatch.setattr(asyncio, "sleep", noted)
            for _ in range(60):
                async with mesh.ratings(None) as answer:
                    assert answer.status == 200

    asyncio.run(check())
    assert 10 <= len(late) <= 50


def test_service_version_that_is_not_played_is_refused() -> None:
    with pytest.raises(BadInput, match="v-unhealthy"):
        App("ratings-v1", "127.9.0.2", resolve=str, log=print, env={"SERVICE_VERSION": "v-unhealthy"})
