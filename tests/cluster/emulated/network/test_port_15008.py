"""Who binds port 15008 of the waypoint pod first, has it; the other fails (tests/recordings/port-15008-clash)."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from harness.cluster.emulated.network.envoy import EnvoyProcess
from harness.logs.envoy_xds_rejects import parse_rejections
from harness.logs.ztunnel import parse_bind_failures
from harness.proxy.config_dump import error_states
from tests.cluster.emulated.network import mesh as m

FAKE = m.listener("fake-hbone", 15008, "TCP")
GATEWAY = m.gateway("waypoint", m.listener("ratings", 9080), FAKE)
NAME = "default/waypoint/fake-hbone"


def test_ztunnel_has_the_port_and_envoy_is_refused(tmp_path: Path) -> None:
    """Normally so: calls pass, the refusal is in Envoy's log and dump only."""

    async def check() -> None:
        async with m.waypointed(tmp_path, FAKE) as (mesh, envoy):
            async with mesh.ratings() as answer:
                assert answer.status == 200
            refused = error_states(json.loads(await mesh.admin(envoy, "/config_dump")))
            assert {one.resource for one in refused} == {NAME}
            rejections = await m.until(lambda: parse_rejections("\n".join(mesh.logs["waypoint"])))
            assert {one.resource for one in rejections} == {NAME}
            assert "Address already in use" in rejections[0].text
            await m.until(lambda: envoy.refusals)
            assert len(envoy.refusals) == 1

    asyncio.run(check())


def test_envoy_takes_the_port_while_ztunnel_is_dead(tmp_path: Path) -> None:
    """Then every call is reset for good, ztunnel is not ready, and only the end of the pod repairs it."""

    async def check() -> None:
        async with m.waypointed(tmp_path, FAKE) as (mesh, envoy):
            await mesh.ztunnel.kill("two")
            await mesh.tell(envoy, GATEWAY, [m.RATINGS, m.route("other", "waypoint", "ratings", ["other"])])
            await m.until(lambda: taken(mesh, envoy))
            await mesh.ztunnel.start("two")
            assert not mesh.ztunnel.ready("two")

            with pytest.raises(aiohttp.ClientError):
                async with mesh.ratings():
                    pass
            await m.until(lambda: parse_bind_failures("\n".join(mesh.logs["two"])))
            failure = parse_bind_failures("\n".join(mesh.logs["two"]))[0]
            assert (failure.address, failure.uid) == ("[::]:15008", "uid-waypoint")
            line = (await m.until(lambda: [x for x in mesh.lines("one") if x.error]))[0]  # aiohttp tries twice
            assert line.level == "error"
            assert line.error in ("io error: tls handshake eof", "io error: Connection reset by peer (os error 104)")
            access = (await m.until(lambda: mesh.access("waypoint")))[0]
            assert (access["upstream_cluster"], access["response_flags"]) == ("EmptyCluster", "UH")

            await envoy.stop()
            await m.until(lambda: mesh.ztunnel.ready("two"))

    asyncio.run(check())


async def taken(mesh: m.Mesh, envoy: EnvoyProcess) -> bool:
    return NAME in await mesh.admin(envoy, "/listeners")


def test_dead_ztunnel_cuts_its_pods_off_until_it_is_back(tmp_path: Path) -> None:
    """Nothing carries an enrolled pod's calls but the ztunnel of its node."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            await mesh.ztunnel.kill("one")
            with pytest.raises(aiohttp.ClientError):
                async with mesh.ratings():
                    pass
            await mesh.ztunnel.start("one")
            async with mesh.ratings() as answer:
                assert answer.status == 200

    asyncio.run(check())
