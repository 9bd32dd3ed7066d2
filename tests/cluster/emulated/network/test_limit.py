"""A global rate limit: real Envoy, the limiter over gRPC, a real Redis (logs/access-429.json)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.cluster.emulated.network import rate_limit_service
from harness.cluster.emulated.network.rate_limit_service import EmulatedRateLimitService
from harness.cluster.emulated.network.redis_process import RedisConnection
from harness.cluster.emulated.network.translate import limits
from harness.proxy.rlconfig import parse_rlconfig
from tests.cluster.emulated.network import mesh as m


@pytest.fixture(autouse=True)
def hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window of a limit ends within a test."""
    clock = SimpleNamespace(time=lambda: 1_800_000_000.0, strftime=time.strftime, gmtime=time.gmtime)
    monkeypatch.setattr(rate_limit_service, "time", clock)


GATEWAY = m.gateway("bookinfo-ingress", m.listener("ingress", 80))


@asynccontextmanager
async def limited(directory: Path) -> AsyncIterator[tuple[m.Mesh, EmulatedRateLimitService, str]]:
    """productpage behind the ingress, under the article's quota; the third is the ingress's NodePort URL."""
    async with m.mesh(directory) as mesh:
        mesh.pod("productpage")
        mesh.pod("ingress", labels=m.EG_PROXY, ports=(10080,))
        mesh.pod("redis", enrolled=False, ports=(6379,))
        mesh.pod("ratelimit", enrolled=False, ports=(8081,))
        mesh.service("productpage", "productpage")
        mesh.service("redis", "redis", ports={6379: 6379})
        mesh.service("envoy-ratelimit", "ratelimit", ports={8081: 8081})
        mesh.service("bookinfo-ingress", "ingress", ports={80: 10080}, node_ports={30080: 80})
        await mesh.sync()
        await mesh.ztunnel.start("one")
        await mesh.app("productpage-v1", "productpage")
        limiter = await mesh.limiter()
        limiter.set_rules(limits(GATEWAY, routes=[m.INGRESS], backend_policies=[m.QUOTA]))
        await mesh.tell(await mesh.envoy("ingress"), GATEWAY, [m.INGRESS], m.QUOTA)
        yield mesh, limiter, f"http://{mesh.nodes['one']}:30080/productpage"


async def burst(mesh: m.Mesh, url: str, user: str, count: int = 5) -> list[int]:
    found = []
    for _ in range(count):
        async with mesh.get(None, url, x_user_id=user) as answer:
            found.append(answer.status)
    return found


def test_fourth_request_of_a_caller_is_refused(tmp_path: Path) -> None:
    """200, 200, 200, 429, with the recorded headers, access line, Redis key and numbers in the limiter's metrics."""

    async def check() -> None:
        async with limited(tmp_path) as (mesh, limiter, url):
            async with mesh.get(None, url, x_user_id="ann") as answer:
                assert answer.status == 200
                assert answer.headers["x-ratelimit-limit"] == "3, 3;w=3600"
                assert answer.headers["x-ratelimit-remaining"] == "2"
                assert 0 < int(answer.headers["x-ratelimit-reset"]) <= 3600
            assert await burst(mesh, url, "ann", 4) == [200, 200, 429, 429]
            assert await burst(mesh, url, "bob") == [200, 200, 200, 429, 429]
            assert await burst(mesh, url, "admin") == [200] * 5

            refused = await m.until(lambda: [x for x in mesh.access("ingress") if x["response_code"] == 429])
            assert (refused[0]["response_flags"], refused[0]["upstream_host"]) == ("RL", None)
            assert refused[0]["response_code_details"] == "request_rate_limited"
            assert parse_rlconfig(limiter.rlconfig())[0].is_in_domain("default/bookinfo-ingress/ingress")
            labels = 'domain="default/bookinfo-ingress/ingress",key1="{0}_{0}",key2="rule-0-match-0"'
            labels = labels.format("httproute/default/ingress-bookinfo/rule/0/match/0/*")
            assert f"rate_limit_over_limit{{{labels}}} 4\n" in limiter.metrics()
            assert f"rate_limit_near_limit{{{labels}}} 2\n" in limiter.metrics()

            redis = RedisConnection((mesh.services["redis"].vip, 6379), mesh.pods["ratelimit"].ip)
            name = "default/bookinfo-ingress/ingress_httproute/default/ingress-bookinfo/rule/0/match/0/?_*_ann_*00"
            found = f"redis.call('KEYS', '{name}')"
            counted = f'EVAL "return #{found}" 0', f"EVAL \"return redis.call('TTL', {found}[1])\" 0"
            number, life = await redis.integers(*counted)
            assert number == 1
            assert 3590 <= life <= 3900
            redis.close()

    asyncio.run(check())


def test_everything_passes_while_the_limiter_is_down(tmp_path: Path) -> None:
    """Fail-open: 200 with no x-ratelimit header; counters stay in Redis."""

    async def check() -> None:
        async with limited(tmp_path) as (mesh, limiter, url):
            assert await burst(mesh, url, "ann", 4) == [200, 200, 200, 429]
            await limiter.stop()
            async with mesh.get(None, url, x_user_id="ann") as answer:
                assert answer.status == 200
                assert "x-ratelimit-limit" not in answer.headers
            await limiter.start()

            async def held() -> bool:
                return await burst(mesh, url, "ann", 1) == [429]

            await m.until(held)

    asyncio.run(check())


@pytest.mark.parametrize(("fault", "value", "want"), [
    ("off_by", 1, [200, 200, 200, 200, 429]),
    ("off_by", -1, [200, 200, 429, 429, 429]),
])  # fmt: skip
def test_limit_off_by_one_is_not_in_the_headers(tmp_path: Path, fault: str, value: int, want: list[int]) -> None:
    async def check() -> None:
        async with limited(tmp_path) as (mesh, limiter, url):
            setattr(limiter.faults, fault, value)
            assert await burst(mesh, url, "ann") == want
            async with mesh.get(None, url, x_user_id="bob") as answer:
                assert answer.headers["x-ratelimit-limit"] == "3, 3;w=3600"

    asyncio.run(check())


def test_shared_bucket(tmp_path: Path) -> None:
    async def check() -> None:
        async with limited(tmp_path) as (mesh, limiter, url):
            limiter.faults.shared_bucket = True
            assert await burst(mesh, url, "ann", 2) + await burst(mesh, url, "bob", 2) == [200, 200, 200, 429]

    asyncio.run(check())
