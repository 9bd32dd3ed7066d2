"""A small mesh of the network half alone: the article's pods, addresses and Gateways, without a Kubernetes API."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from harness.cluster.emulated.__main__ import hold
from harness.cluster.emulated.network.addresses import Addresses
from harness.cluster.emulated.network.bookinfo import App
from harness.cluster.emulated.network.envoy import EnvoyProcess
from harness.cluster.emulated.network.model import MeshWorkload, Proxy, ServiceEntry, Waypoint
from harness.cluster.emulated.network.rate_limit_service import EmulatedRateLimitService
from harness.cluster.emulated.network.redis_process import RedisProcess
from harness.cluster.emulated.network.translate import xds
from harness.cluster.emulated.network.ztunnel import Ztunnel
from harness.logs.ztunnel import ZtunnelLine, parse_ztunnel_log
from tests.patience import SOON

FACTOR = 30.0
EG_PROXY = {
    "app.kubernetes.io/managed-by": "envoy-gateway",
    "app.kubernetes.io/component": "proxy",
    "app.kubernetes.io/name": "envoy",
}


def gateway(name: str, *listeners: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Gateway", "metadata": {"name": name, "namespace": "default"}, "spec": {"listeners": [*listeners]}}


def listener(name: str, port: int, protocol: str = "HTTP") -> dict[str, Any]:
    return {"name": name, "port": port, "protocol": protocol}


def route(name: str, gateway: str, backend: str, hostnames: list[str] | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "parentRefs": [{"name": gateway}],
        "rules": [{"backendRefs": [{"name": backend, "port": 9080}]}],
    }
    if hostnames:
        spec["hostnames"] = hostnames
    return {"kind": "HTTPRoute", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def policy(name: str, route: str, **spec: Any) -> dict[str, Any]:
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}
    meta = {"name": name, "namespace": "default"}
    return {"kind": "BackendTrafficPolicy", "metadata": meta, "spec": {"targetRefs": [target], **spec}}


BREAKER = policy("circuit-breaker-btp", "ratings", circuitBreaker={"maxPendingRequests": 0, "maxParallelRequests": 10})
QUOTA = policy(
    "productpage-rate-limiting",
    "ingress-bookinfo",
    rateLimit={
        "type": "Global",
        "global": {
            "rules": [
                {
                    "clientSelectors": [
                        {
                            "headers": [
                                {"name": "x-user-id", "type": "Distinct"},
                                {"name": "x-user-id", "value": "admin", "invert": True},
                            ]
                        }
                    ],
                    "limit": {"requests": 3, "unit": "Hour"},
                }
            ]
        },
    },
)
RATINGS = route("ratings", "waypoint", "ratings", ["ratings", "ratings.default"])
INGRESS = route("ingress-bookinfo", "bookinfo-ingress", "productpage")


class Mesh:
    """Pods and Services by name; `logs` by node or pod name."""

    def __init__(self, directory: Path) -> None:
        self.held, octet = hold(str(directory))  # no other mesh or emulated cluster of this machine has it
        self.addresses = Addresses(octet)
        self.directory = directory
        self.nodes = {"one": self.addresses.node(), "two": self.addresses.node()}
        self.logs: dict[str, list[str]] = defaultdict(list)
        self.ztunnel = Ztunnel(lambda node, line: self.logs[node].append(line), nodes=self.nodes, delay_factor=FACTOR)
        self.pods: dict[str, MeshWorkload] = {}
        self.services: dict[str, ServiceEntry] = {}
        self.apps: dict[str, App] = {}
        self.stops: list[Callable[[], Awaitable[None]]] = [self.ztunnel.close]

    def pod(self, name: str, *, node: str = "one", enrolled: bool = True, **more: Any) -> MeshWorkload:
        more = {"service_account": name, "workload_name": name, "labels": {"app": name}, "ports": (9080,)} | more
        ip = self.addresses.pod()
        self.pods[name] = MeshWorkload(f"uid-{name}", f"{name}-x", "default", ip, node, enrolled=enrolled, **more)
        return self.pods[name]

    def service(self, name: str, *pods: str, ports: dict[int, int] | None = None, **more: Any) -> ServiceEntry:
        ends = tuple(self.pods[p].ip for p in pods)
        vip = self.services[name].vip if name in self.services else self.addresses.service()
        self.services[name] = ServiceEntry(name, "default", vip, ports or {9080: 9080}, ends, **more)
        return self.services[name]

    async def sync(self) -> None:
        await self.ztunnel.set_workloads(self.pods.values())
        await self.ztunnel.set_services(self.services.values())

    async def app(self, image: str, pod: str, **more: Any) -> App:
        self.apps[pod] = App(
            image,
            self.pods[pod].ip,
            resolve=lambda host: self.services[host.partition(".")[0]].vip,
            log=self.logs[pod].append,
            delay_factor=FACTOR,
            **more,
        )
        await self.apps[pod].start()
        self.stops.append(self.apps[pod].stop)
        return self.apps[pod]

    async def envoy(self, pod: str) -> EnvoyProcess:
        one = EnvoyProcess(
            self.pods[pod].ip,
            self.pods[pod].name,
            self.directory,
            cluster=f"default/{pod}",
            log=self.logs[pod].append,
            delay_factor=FACTOR,
        )
        self.stops.append(one.stop)
        await one.start()
        return one

    async def limiter(self) -> EmulatedRateLimitService:
        redis = RedisProcess(self.pods["redis"].ip, self.directory / "redis", log=self.logs["redis"].append)
        await redis.start()
        self.stops.append(redis.stop)
        limiter = EmulatedRateLimitService(
            self.pods["ratelimit"].ip, redis=(self.services["redis"].vip, 6379), log=self.logs["ratelimit"].append
        )
        await limiter.start()
        self.stops.append(limiter.stop)
        return limiter

    async def tell(self, envoy: EnvoyProcess, gw: dict[str, Any], routes: list[Any], *policies: Any) -> None:
        """Translates and applies, and waits until Envoy is LIVE."""
        found = self.services.get("envoy-ratelimit")
        proxy = Proxy((found.vip, 8081) if found else None, limiter_timeout=SOON)
        resources = xds(gw, proxy, routes=routes, services=self.services.values(), backend_policies=policies)
        await envoy.apply(resources)
        await until(envoy.ready)

    def get(self, source: str | None, url: str, **headers: str) -> Any:
        """GET from a pod (None: from the host); an async context manager as aiohttp's."""
        return _Get(self.pods[source].ip if source else None, url, headers)

    def ratings(self, source: str | None = "client", **headers: str) -> Any:
        """GET ratings by its Service, as http://ratings:9080/ratings/0."""
        return self.get(source, f"http://{self.services['ratings'].vip}:9080/ratings/0", host="ratings:9080", **headers)

    def lines(self, node: str) -> list[ZtunnelLine]:
        """The access lines of a node's ztunnel so far."""
        return list(parse_ztunnel_log("\n".join(self.logs[node])).lines)

    def access(self, pod: str) -> list[dict[str, Any]]:
        """The access lines of an Envoy pod so far."""
        return [json.loads(line) for line in self.logs[pod] if line.startswith("{")]

    async def admin(self, envoy: EnvoyProcess, path: str) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{envoy.admin}{path}") as answer:
            return await answer.text()

    async def close(self) -> None:
        for stop in reversed(self.stops):
            await stop()
        self.held.close()


class _Get:
    def __init__(self, source: str | None, url: str, headers: dict[str, str]) -> None:
        self.source, self.url, self.headers = source, url, {k.replace("_", "-"): v for k, v in headers.items()}

    async def __aenter__(self) -> aiohttp.ClientResponse:
        connector = aiohttp.TCPConnector(local_addr=(self.source, 0) if self.source else None, force_close=True)
        self.session = aiohttp.ClientSession(connector=connector)
        try:
            response = await self.session.get(self.url, headers=self.headers)
            await response.read()
        except BaseException:
            await self.session.close()
            raise
        return response

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()


@asynccontextmanager
async def waypointed(directory: Path, *listeners: dict[str, Any]) -> AsyncIterator[tuple[Mesh, EnvoyProcess]]:
    """client and ratings on node one, ratings' waypoint on node two, bound; `listeners` besides the HTTP one."""
    async with mesh(directory) as one:
        one.pod("client", ports=())
        one.pod("ratings", labels={"app": "ratings", "version": "v1"})
        one.pod("waypoint", node="two", labels=EG_PROXY)
        one.service("ratings", "ratings")
        one.service("waypoint", "waypoint", ports={9080: 9080, 15008: 15008})
        await one.sync()
        await one.ztunnel.start("one")
        await one.ztunnel.start("two")
        await one.app("ratings-v1", "ratings")
        envoy = await one.envoy("waypoint")
        await one.tell(envoy, gateway("waypoint", listener("ratings", 9080), *listeners), [RATINGS])
        one.service("ratings", "ratings", waypoint=Waypoint(one.services["waypoint"].vip))
        await one.sync()
        yield one, envoy


@asynccontextmanager
async def mesh(directory: Path) -> AsyncIterator[Mesh]:
    one = Mesh(directory)
    try:
        yield one
    finally:
        await one.close()


async def until(probe: Callable[[], Any], within: float = SOON) -> Any:
    """The first true answer of a (perhaps async) probe; fails after `within` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        found = probe()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert loop.time() < end, "it did not come about"
        await asyncio.sleep(0.02)
