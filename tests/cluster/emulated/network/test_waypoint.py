"""Calls through a waypoint: a real Envoy between two ends of the emulated ztunnel."""

import asyncio
import json
from pathlib import Path
from typing import Any

from harness.proxy import config_dump
from harness.proxy.stats import parse_stats as stats
from tests.cluster.emulated.network import mesh as m

CLUSTER = "httproute/default/ratings/rule/0"


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


def test_breaker_waits_in_warming_then_refuses_everything(tmp_path: Path) -> None:
    """Old thresholds serve on while the new ones warm; then 503, UO, and as many overflows."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):

            async def dump() -> dict[str, Any]:
                found: dict[str, Any] = json.loads(await mesh.admin(envoy, "/config_dump"))
                return found

            async def warms() -> bool:
                (clusters,) = (one for one in (await dump())["configs"] if one["@type"].endswith("ClustersConfigDump"))
                return any(one["cluster"]["name"] == CLUSTER for one in clusters.get("dynamic_warming_clusters", ()))

            async def acts() -> bool:
                found = config_dump.active_cluster(await dump(), CLUSTER)
                return found is not None and config_dump.max_pending_requests(found) == 0

            assert await one(mesh) == 200
            await mesh.tell(envoy, m.gateway("waypoint", m.listener("ratings", 9080)), [m.RATINGS], m.BREAKER)
            await m.until(warms)
            assert await one(mesh) == 200
            await m.until(acts)

            assert set(await asyncio.gather(*(one(mesh) for _ in range(20)))) == {503}
            counted = stats(await mesh.admin(envoy, "/stats"))
            assert counted[f"cluster.{CLUSTER}.upstream_rq_pending_overflow"] == 20
            assert counted[f"cluster.{CLUSTER}.init_fetch_timeout"] == 1
            await m.until(lambda: sum(line["response_flags"] == "UO" for line in mesh.access("waypoint")) == 20)

    asyncio.run(check())


async def one(mesh: m.Mesh) -> int:
    async with mesh.ratings() as answer:
        return int(answer.status)


def test_policy_that_is_gone_before_it_acts_acts_all_the_same(tmp_path: Path) -> None:
    """Envoy hears of the way back only once the change has warmed; then that takes as long again."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, envoy):
            gateway = m.gateway("waypoint", m.listener("ratings", 9080))
            await mesh.tell(envoy, gateway, [m.RATINGS], m.BREAKER)
            await asyncio.sleep(0.1)
            await mesh.tell(envoy, gateway, [m.RATINGS])

            async def refused() -> bool:
                return await one(mesh) == 503

            async def served() -> bool:
                return await one(mesh) == 200

            await m.until(refused)
            await m.until(served)

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
