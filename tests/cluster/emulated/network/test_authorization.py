"""An AuthorizationPolicy at the emulated ztunnel: who is refused, how, and what both sides write of it."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from harness.cluster.emulated.network.connection_target import MeshState
from harness.cluster.emulated.network.model import Allow, MeshWorkload
from harness.logs.ztunnel import ZtunnelLine
from tests.cluster.emulated.network import mesh as m

WAYPOINT = "cluster.local/ns/default/sa/waypoint"
CLIENT = "cluster.local/ns/default/sa/client"
NOT_ALLOWED = "connection closed due to policy rejection: allow policies exist, but none allowed"


def pod(name: str, **more: object) -> MeshWorkload:
    fields = {"uid": name, "namespace": "default", "ip": "127.1.0.2", "node": "one", "labels": {"app": name}} | more
    return MeshWorkload(name=name, **fields)  # type: ignore[arg-type]  # the fields of a Workload


@pytest.mark.parametrize(
    ("policies", "caller", "allowed"),
    [
        ((), None, True),
        ((Allow("default", {"app": "ratings"}, (CLIENT,)),), pod("client", service_account="client"), True),
        ((Allow("default", {"app": "ratings"}, (CLIENT,)),), pod("other", service_account="other"), False),
        ((Allow("default", {"app": "ratings"}, (CLIENT,)),), None, False),
        ((Allow("default", {"app": "details"}, (CLIENT,)),), None, True),
        ((Allow("elsewhere", {"app": "ratings"}, (CLIENT,)),), None, True),
        (
            (Allow("default", {"app": "ratings"}, (WAYPOINT,)), Allow("default", {}, (CLIENT,))),
            pod("client", service_account="client"),
            True,
        ),
    ],
    ids=["no policy", "named", "not named", "not proven", "other pods", "other namespace", "either of two"],
)
def test_who_is_allowed(policies: tuple[Allow, ...], caller: MeshWorkload | None, allowed: bool) -> None:
    """No policy allows all; with any that covers the pod, one of them must name the caller."""
    assert MeshState(policies=policies).allows(pod("ratings"), caller) is allowed


def test_refused_callers_get_no_answer_and_both_sides_say_why(tmp_path: Path) -> None:
    """Through the waypoint calls pass; past it they are cut off, proven or not, until the policy is gone."""

    async def check() -> None:
        async with m.waypointed(tmp_path) as (mesh, _):
            mesh.pod("stranger", enrolled=False, ports=())
            await mesh.sync()
            ratings = next(one for one in mesh.pods.values() if one.name.startswith("ratings"))
            waypoint = next(one for one in mesh.pods.values() if one.name.startswith("waypoint"))
            principal = waypoint.identity.removeprefix("spiffe://")
            mesh.ztunnel.set_policies([Allow("default", ratings.labels, (principal,))])

            async with mesh.ratings() as answer:
                assert answer.status == 200
            for caller in ("client", "stranger"):
                with pytest.raises(aiohttp.ClientError):
                    async with mesh.get(caller, f"http://{ratings.ip}:9080/ratings/0"):
                        pass
            await m.until(lambda: {line.src.workload for line in refused(mesh)} == {"client-x", "stranger-x"})
            assert {(line.direction, line.error) for line in refused(mesh)} == {
                ("outbound", "http status: 401 Unauthorized"),
                ("inbound", NOT_ALLOWED),
            }

            mesh.ztunnel.set_policies([])
            async with mesh.get("client", f"http://{ratings.ip}:9080/ratings/0") as answer:
                assert answer.status == 200

    asyncio.run(check())


def refused(mesh: m.Mesh) -> list[ZtunnelLine]:
    return [line for node in ("one", "two") for line in mesh.lines(node) if not line.is_ok]
