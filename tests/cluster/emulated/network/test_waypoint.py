"""Calls through a waypoint: a real Envoy between two ends of the emulated ztunnel."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.emulated.network import bootstrap
from harness.cluster.emulated.network.envoy import EnvoyProcess
from harness.proxy import config_dump
from harness.proxy.stats import parse_stats as stats
from tests.cluster.emulated.network import mesh as m

CLUSTER = "httproute/default/ratings/rule/0"
FOR_EVER = m.FACTOR * 3600  # seconds


def test_call_passes_the_waypoint_and_leaves_the_recorded_lines(tmp_path: Path) -> None:
    """Outbound and inbound lines of both legs, an access line, the backend's answer (logs/access-waypoint-200.json)."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            client, waypoint, ratings = (mesh.pods[name] for name in ("client", "waypoint", "ratings"))
            async with mesh.ratings(user_agent="e2e/1") as answer:
                assert (answer.status, await answer.text()) == (
                    200,
                    '{"id":0,"ratings":{"Reviewer1":5,"Reviewer2":4}}',
                )
                assert "x-envoy-upstream-service-time" not in answer.headers
            await m.until(lambda: len(mesh.lines("one")) == 2 and len(mesh.lines("two")) == 2)
            await m.until(lambda: mesh.access("waypoint"))

            by = {(line.src.workload, line.direction): line for node in ("one", "two") for line in mesh.lines(node)}
            out, inn = by["client-x", "outbound"], by["client-x", "inbound"]
            vip = f"{mesh.services['ratings'].vip}:9080"
            assert out.dst.addr == inn.dst.addr == f"{waypoint.ip}:15008"
            assert out.dst.hbone_addr == inn.dst.hbone_addr == vip
            assert (out.dst.service, inn.dst.service) == (
                "ratings.default.svc.cluster.local",
                "waypoint.default.svc.cluster.local",
            )
            assert (out.bytes_sent, out.bytes_recv) == (inn.bytes_recv, inn.bytes_sent)
            assert out.src.identity == client.identity
            assert out.dst.identity == waypoint.identity

            on = by["waypoint-x", "outbound"]
            assert (on.dst.hbone_addr, on.dst.service) == (f"{ratings.ip}:9080", None)
            assert by["waypoint-x", "inbound"].dst.service == "ratings.default.svc.cluster.local"

            (line,) = mesh.access("waypoint")
            assert line["downstream_local_address"] == f"{waypoint.ip}:9080"
            assert line["downstream_remote_address"].startswith(f"{client.ip}:")
            assert line["upstream_host"] == f"{ratings.ip}:9080"
            assert line["upstream_local_address"].startswith(f"{waypoint.ip}:")
            assert (line["route_name"], line["upstream_cluster"]) == (f"{CLUSTER}/match/0/ratings", CLUSTER)
            recorded = Path(__file__).parents[3] / "recordings/logs/access-waypoint-200.json"
            assert line.keys() == json.loads(recorded.read_text()).keys()

    asyncio.run(check())


class Changed:
    """What the waypoint's Envoy knows of a changed cluster."""

    def __init__(self, mesh: m.Mesh, envoy: EnvoyProcess) -> None:
        self._mesh, self._envoy = mesh, envoy

    async def warms(self) -> bool:
        (clusters,) = (one for one in (await self._dump())["configs"] if one["@type"].endswith("ClustersConfigDump"))
        return any(one["cluster"]["name"] == CLUSTER for one in clusters.get("dynamic_warming_clusters", ()))

    async def acts(self) -> bool:
        found = config_dump.active_cluster(await self._dump(), CLUSTER)
        return found is not None and config_dump.max_pending_requests(found) == 0

    async def is_known(self) -> bool:
        return await self.warms() or await self.acts()

    async def _dump(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._mesh.admin(self._envoy, "/config_dump"))
        return found


def test_old_thresholds_serve_on_while_the_new_ones_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here for longer than any test takes."""
    monkeypatch.setattr(bootstrap, "FETCH_TIMEOUT", FOR_EVER)

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):
            changed = Changed(mesh, envoy)
            await mesh.tell(envoy, m.gateway("waypoint", m.listener("ratings", 9080)), [m.RATINGS], m.BREAKER)
            await m.until(changed.warms)

            assert await one(mesh) == 200
            assert await changed.warms()

    asyncio.run(check())


async def one(mesh: m.Mesh) -> int:
    async with mesh.ratings() as answer:
        return int(answer.status)


def test_policy_that_is_gone_before_it_acts_acts_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy hears of the way back only once the change has warmed, and then that warms: until it has, everything is
    refused with 503, UO, and as many overflows."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):
            gateway, changed = m.gateway("waypoint", m.listener("ratings", 9080)), Changed(mesh, envoy)
            await mesh.tell(envoy, gateway, [m.RATINGS], m.BREAKER)
            await m.until(changed.is_known)
            monkeypatch.setattr(bootstrap, "FETCH_TIMEOUT", FOR_EVER)  # of the way back
            await mesh.tell(envoy, gateway, [m.RATINGS])
            await m.until(changed.acts)

            assert set(await asyncio.gather(*(one(mesh) for _ in range(20)))) == {503}
            counted = stats(await mesh.admin(envoy, "/stats"))
            assert counted[f"cluster.{CLUSTER}.upstream_rq_pending_overflow"] == 20
            assert counted[f"cluster.{CLUSTER}.init_fetch_timeout"] == 1
            await m.until(lambda: sum(line["response_flags"] == "UO" for line in mesh.access("waypoint")) == 20)

    asyncio.run(check())


def test_unknown_host_is_404_and_the_pod_ip_goes_past_the_waypoint(tmp_path: Path) -> None:
    """A call to the pod IP bypasses the waypoint; a name that its route lacks gets 404."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            url = f"http://{mesh.services['ratings'].vip}:9080/ratings/0"
            async with mesh.get("client", url, host="ratings.default.svc") as answer:
                assert answer.status == 404
            async with mesh.get("client", f"http://{mesh.pods['ratings'].ip}:9080/ratings/0") as answer:
                assert answer.status == 200
            await m.until(lambda: mesh.access("waypoint"))
            (line,) = mesh.access("waypoint")
            assert (line["response_flags"], line["response_code_details"]) == ("NR", "route_not_found")

    asyncio.run(check())


def test_restarted_proxy_serves_again_with_counters_at_zero(tmp_path: Path) -> None:
    """The same configuration comes over the new stream."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):
            assert await one(mesh) == 200
            await envoy.restart()
            await m.until(envoy.ready)

            assert stats(await mesh.admin(envoy, "/stats")).get(f"cluster.{CLUSTER}.upstream_rq_total", 0) == 0
            assert await one(mesh) == 200

    asyncio.run(check())
