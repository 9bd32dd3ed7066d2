"""Faults that are played by telling Envoy, or an app, the wrong thing."""

import asyncio
from pathlib import Path

from harness.cluster.emulated.network.faulty_xds import leak
from harness.cluster.emulated.network.model import Proxy
from harness.cluster.emulated.network.translate import xds
from tests.cluster.emulated.network import mesh as m


def test_refused_requests_leak_to_the_backend(tmp_path: Path) -> None:
    """The caller is reported 503 by the breaker, and ratings serves its request nevertheless."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):
            gateway = m.gateway("waypoint", m.listener("ratings", 9080))
            services = mesh.services.values()
            resources = xds(gateway, Proxy(), routes=[m.RATINGS], services=services, backend_policies=[m.BREAKER])
            await envoy.apply(leak(resources))

            async def refused() -> bool:
                async with mesh.ratings(user_agent="e2e/leak") as answer:
                    return bool(answer.status == 503)

            await m.until(refused)
            mesh.apps["ratings"].requests_seen.clear()
            assert await refused()
            await m.until(lambda: mesh.apps["ratings"].requests_seen)
            line = (await m.until(lambda: mesh.access("waypoint")))[-1]
            assert line["response_flags"] in ("-", "UO")

    asyncio.run(check())


def test_backend_refuses_in_the_breakers_stead(tmp_path: Path) -> None:
    """503 with `via_upstream` and no flag: not Envoy's doing."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            mesh.apps["ratings"].answer_with = 503
            async with mesh.ratings() as answer:
                assert answer.status == 503
            (line,) = await m.until(lambda: mesh.access("waypoint"))
            assert (line["response_code_details"], line["response_flags"]) == ("via_upstream", "-")

    asyncio.run(check())
