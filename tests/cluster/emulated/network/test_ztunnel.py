"""The emulated ztunnel: plain legs, faults, pages."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from harness.cluster.emulated.network import bookinfo, bootstrap
from harness.logs.ztunnel import ZtunnelLine
from harness.proxy import ztunnel_dump
from tests.cluster.emulated.network import mesh as m
from tests.patience import SOON


def test_caller_outside_the_mesh_leaves_one_line_without_identities(tmp_path: Path) -> None:
    """Inbound plain text; kube-proxy, not ztunnel, chose the pod, and no waypoint is passed."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            mesh.pod("stranger", enrolled=False, ports=())
            await mesh.sync()
            async with mesh.ratings("stranger") as answer:
                assert answer.status == 200
            (line,) = await m.until(lambda: mesh.lines("one"))
            assert (line.direction, line.is_hbone, line.src.identity, line.dst.identity) == (
                "inbound",
                False,
                None,
                None,
            )
            assert (line.src.workload, line.dst.service) == ("stranger-x", "ratings.default.svc.cluster.local")
            assert not mesh.access("waypoint")

    asyncio.run(check())


def test_faults_change_what_they_say_and_nothing_else(tmp_path: Path) -> None:
    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            faults = mesh.ztunnel.faults

            async def line_of_a_call() -> ZtunnelLine:
                before = len(outbound(mesh))
                async with mesh.ratings() as answer:
                    assert answer.status == 200
                await m.until(lambda: len(outbound(mesh)) > before)
                return outbound(mesh)[-1]

            faults.bypass_waypoint = {"ratings"}
            assert (await line_of_a_call()).dst.workload == "ratings-x"
            faults.bypass_waypoint = set()
            faults.plaintext_to = {"waypoint"}
            plain = await line_of_a_call()
            assert (plain.dst.workload, plain.is_hbone, plain.src.identity) == ("waypoint-x", False, None)
            faults.plaintext_to = set()

    asyncio.run(check())


def outbound(mesh: m.Mesh) -> list[ZtunnelLine]:
    return [line for line in mesh.lines("one") if line.src.workload == "client-x" and line.direction == "outbound"]


def test_dump_reads_as_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the harness's own reader, which knows the recorded one."""
    for module in (bootstrap, bookinfo):  # neither Envoy nor the app ends the connection meanwhile
        monkeypatch.setattr(module, "idle_seconds", lambda _: SOON)

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            async with mesh.ratings() as answer:
                assert answer.status == 200
            dump = mesh.ztunnel.config_dump("one")
            by_name = {w.name: w for w in ztunnel_dump.workloads(dump)}
            assert by_name["ratings-x"].protocol == "HBONE"
            (ratings,) = [s for s in ztunnel_dump.services(dump) if s.name == "ratings"]
            assert ratings.waypoint == mesh.services["waypoint"].vip
            held = {c.identity for c in ztunnel_dump.certificates(dump)}
            assert held == {mesh.pods["client"].identity, mesh.pods["ratings"].identity}
            (kept,) = (w["connections"] for w in dump["workloadState"].values() if w["info"]["name"] == "ratings-x")
            assert (len(kept["inbound"]), kept["outbound"]) == (1, [])  # Envoy keeps it

            mesh.ztunnel.faults.not_ready = {"one"}
            assert not mesh.ztunnel.ready("one")

    asyncio.run(check())


def test_service_without_endpoints_is_reported_to_be_unhealthy(tmp_path: Path) -> None:
    """variants/ztunnel-two-nodes.log: warn, connection failed, no healthy upstream."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            mesh.service("ratings")
            await mesh.sync()
            with pytest.raises(aiohttp.ClientError):
                async with mesh.ratings():
                    pass
            line = (await m.until(lambda: mesh.lines("one")))[0]  # aiohttp tries twice
            assert (line.level, line.message) == ("warn", "connection failed")
            assert line.error == f"no healthy upstream: {mesh.services['ratings'].vip}:9080"

    asyncio.run(check())
