"""The emulated ztunnel: plain legs, faults, pages."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from harness.logs.ztunnel import ZtunnelLine
from harness.proxy import ztunnel_dump
from harness.proxy.prometheus import parse_samples
from tests.cluster.emulated.network import mesh as m


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
            faults.identities = {"client": "spiffe://cluster.local/ns/default/sa/mallory"}
            wrong = await line_of_a_call()
            assert wrong.src.identity == "spiffe://cluster.local/ns/default/sa/mallory"
            faults.lose_line = lambda line: True
            async with mesh.ratings() as answer:
                assert answer.status == 200
            await asyncio.sleep(0.1)
            assert outbound(mesh)[-1] is not None
            assert len(outbound(mesh)) == 3

    asyncio.run(check())


def outbound(mesh: m.Mesh) -> list[ZtunnelLine]:
    return [line for line in mesh.lines("one") if line.src.workload == "client-x" and line.direction == "outbound"]


def test_dump_and_metrics_read_as_the_real_ones(tmp_path: Path) -> None:
    """By the harness's own readers, which know the recorded ones."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            async with mesh.ratings() as answer:
                assert answer.status == 200
            dump = mesh.ztunnel.config_dump("one")
            by_name = {w.name: w for w in ztunnel_dump.workloads(dump)}
            assert by_name["ratings-x"].is_enrolled
            assert by_name["ratings-x"].services == ("default/ratings.default.svc.cluster.local",)
            (ratings,) = [s for s in ztunnel_dump.services(dump) if s.name == "ratings"]
            assert ratings.waypoint == mesh.services["waypoint"].vip
            held = {c.identity for c in ztunnel_dump.certificates(dump)}
            assert held == {mesh.pods["client"].identity, mesh.pods["ratings"].identity}
            (kept,) = (w["connections"] for w in dump["workloadState"].values() if w["info"]["name"] == "ratings-x")
            assert (len(kept["inbound"]), kept["outbound"]) == (1, [])  # Envoy keeps it

            opened = [
                s for s in parse_samples(mesh.ztunnel.metrics("one")) if s.name == "istio_tcp_connections_opened_total"
            ]
            ours = [s for s in opened if (s.labels["reporter"], s.labels["source_workload"]) == ("source", "client")]
            assert [s.value for s in ours] == [1]

            faults = mesh.ztunnel.faults
            faults.no_certificate, faults.not_ready = {"ratings"}, {"one"}
            bent = mesh.ztunnel.config_dump("one")
            assert {c.identity for c in ztunnel_dump.certificates(bent)} == {mesh.pods["client"].identity}
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
