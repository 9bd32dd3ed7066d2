"""Programs that did not start in time are started again at the same addresses."""

import asyncio
from pathlib import Path

import psutil
import pytest

from harness.cluster.emulated.network import envoy, redis_process
from harness.errors import SetupFailed
from tests.cluster.emulated.network import mesh as m


def test_envoy_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its admin page and its xDS server have their ports again."""

    async def check() -> None:
        async with m.mesh(tmp_path) as mesh:
            mesh.pod("waypoint", labels=m.EG_PROXY)
            with monkeypatch.context() as late:
                late.setattr(envoy, "_START", 0)
                with pytest.raises(SetupFailed, match="does not answer"):
                    await mesh.envoy("waypoint")

            again = await mesh.envoy("waypoint")
            assert "PRE_INITIALIZING" in await mesh.admin(again, "/ready")

    asyncio.run(check())


def test_nothing_is_left_of_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would answer in the place of the one that is started again."""

    async def check() -> None:
        async with m.mesh(tmp_path) as mesh:
            redis = redis_process.RedisProcess(mesh.pod("redis").ip, tmp_path, log=print)
            before = psutil.Process().children()
            monkeypatch.setattr(redis_process, "_START", 0)
            with pytest.raises(SetupFailed, match="PING"):
                await redis.start()

            assert psutil.Process().children() == before

    asyncio.run(check())
