"""The xDS server for one Envoy: delta ADS over gRPC, as Envoy Gateway serves it.

Modelled on the recorded bootstrap (`ads_config: {api_type: DELTA_GRPC}`, tests/recordings/admin) and on what
go-control-plane does with it. A resource whose version was sent is not sent again when Envoy warms a changed
cluster (docs/findings.md; go-control-plane#1035). Nothing more of a type is sent until Envoy has answered, and while a
cluster warms it does not answer: a policy taken back meanwhile acts all the same. A resource that Envoy
refused is sent again at the next change.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, json_format, symbol_database

from harness.cluster.emulated.network.model import Json, Xds

_TYPE = "type.googleapis.com/envoy.config."
CLUSTER = _TYPE + "cluster.v3.Cluster"
ENDPOINTS = _TYPE + "endpoint.v3.ClusterLoadAssignment"
LISTENER = _TYPE + "listener.v3.Listener"
ROUTE = _TYPE + "route.v3.RouteConfiguration"
_ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
_METHOD = "envoy.service.discovery.v3.AggregatedDiscoveryService"

# Importing them registers the messages that a `typed_config` may hold; xds-protos ships one module per proto file.
for _module in (
    "config.cluster.v3.cluster",
    "config.listener.v3.listener",
    "config.route.v3.route",
    "extensions.access_loggers.file.v3.file",
    "extensions.filters.http.health_check.v3.health_check",
    "extensions.filters.http.ratelimit.v3.rate_limit",
    "extensions.filters.http.router.v3.router",
    "extensions.filters.listener.proxy_protocol.v3.proxy_protocol",
    "extensions.filters.network.http_connection_manager.v3.http_connection_manager",
    "extensions.filters.network.tcp_proxy.v3.tcp_proxy",
    "extensions.load_balancing_policies.least_request.v3.least_request",
    "extensions.upstreams.http.v3.http_protocol_options",
    "service.discovery.v3.discovery",
):
    importlib.import_module(f"envoy.{_module}_pb2")

_Delta = importlib.import_module("envoy.service.discovery.v3.discovery_pb2")


@dataclass(frozen=True, slots=True)
class Resource:
    """One named resource as it goes over the wire; `version` is a hash of it."""

    name: str
    version: str
    packed: Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Envoy answered to an update that it did not take (a NACK)."""

    type_url: str
    detail: str


def pack(type_url: str, resource: Json) -> Resource:
    """A resource in JSON (proto names, `@type` in each typed_config) as a packed message.

    Raises:
        ValueError: not a resource of that type; the message names the field.
    """
    message = symbol_database.Default().GetSymbol(type_url.rpartition("/")[2])()
    body = {k: v for k, v in resource.items() if k != "@type"}
    try:
        json_format.ParseDict(body, message)
    except json_format.ParseError as error:
        raise ValueError(f"{type_url.rpartition('.')[2]} {resource.get('name', '?')}: {error}") from error
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    name = str(body.get("cluster_name") or body["name"])
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Resource(name, digest, packed)


@dataclass(slots=True)
class _Subscription:
    """What one stream asked for and was sent, for one type."""

    wildcard: bool = False
    unanswered: bool = False  # an update that Envoy has neither taken nor refused yet
    answered: bool = False  # whether anything was sent yet: a wildcard is answered even if there is nothing
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name -> version


class AdsServer:
    """Serves one Envoy at `address` ("ip:port"). `refusals` grows with each NACK."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._resources: dict[str, dict[str, Resource]] = {kind: {} for kind in _ORDER}
        self._changed = asyncio.Condition()
        self._generation = 0
        self._server: Any = None
        self._held: tuple[int, set[tuple[str, str]]] = (0, set())  # refused in this generation: (type, name)
        self.refusals: list[Refusal] = []

    async def start(self) -> None:
        handler = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=_Delta.DeltaDiscoveryRequest.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_METHOD, {"DeltaAggregatedResources": handler}),)
        )
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server:
            await server.stop(None)

    async def set(self, xds: Xds) -> None:
        """Sends every stream what differs from what it was sent before; nothing if nothing differs.

        Raises:
            ValueError: a resource that no proto describes; nothing is sent.
        """
        given = {CLUSTER: xds.clusters, ENDPOINTS: xds.endpoints.values(), LISTENER: xds.listeners, ROUTE: xds.routes}
        new = {kind: {r.name: r for r in (pack(kind, one) for one in given[kind])} for kind in _ORDER}
        if new == self._resources:
            return
        async with self._changed:
            self._resources = new
            self._generation += 1
            self._changed.notify_all()

    async def _stream(self, requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        asked: dict[str, _Subscription] = {}
        responses: asyncio.Queue[Any] = asyncio.Queue()

        async def listen() -> None:
            async for request in requests:
                self._hear(asked, request)
                self._say(asked, [request.type_url], responses)
            await responses.put(None)

        async def follow() -> None:
            seen = self._generation
            while True:
                async with self._changed:
                    while self._generation == seen:
                        await self._changed.wait()
                    seen = self._generation
                self._say(asked, list(_ORDER), responses)

        tasks = [asyncio.create_task(listen()), asyncio.create_task(follow())]
        try:
            while (response := await responses.get()) is not None:
                yield response
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, asked: dict[str, _Subscription], request: Any) -> None:
        first = request.type_url not in asked
        mine = asked.setdefault(request.type_url, _Subscription())
        if first:
            mine.sent.update(request.initial_resource_versions)
            mine.wildcard = not request.resource_names_subscribe
        mine.unanswered = False
        mine.names.update(request.resource_names_subscribe)
        for name in request.resource_names_unsubscribe:
            mine.names.discard(name)
            mine.sent.pop(name, None)
        if request.HasField("error_detail"):
            detail = request.error_detail.message
            self.refusals.append(Refusal(request.type_url, detail))
            for name in [name for name in mine.sent if name in detail]:
                del mine.sent[name]
                self._hold(request.type_url, name)

    def _hold(self, kind: str, name: str) -> None:
        """Keeps a refused resource back until the next change: sent again then, not in a loop of NACKs now."""
        if self._held[0] != self._generation:
            self._held = (self._generation, set())
        self._held[1].add((kind, name))

    def _say(self, asked: dict[str, _Subscription], kinds: list[str], responses: asyncio.Queue[Any]) -> None:
        for kind in [kind for kind in _ORDER if kind in kinds and kind in asked]:
            mine, have = asked[kind], self._resources[kind]
            held = self._held[1] if self._held[0] == self._generation else set()
            wanted = have.values() if mine.wildcard else [have[n] for n in sorted(mine.names & have.keys())]
            changed = [r for r in wanted if mine.sent.get(r.name) != r.version and (kind, r.name) not in held]
            gone = [name for name in mine.sent if name not in have]
            first = mine.wildcard and not mine.answered and self._generation > 0
            if mine.unanswered or not (changed or gone or first):
                continue
            mine.unanswered = mine.answered = True
            for resource in changed:
                mine.sent[resource.name] = resource.version
            for name in gone:
                del mine.sent[name]
            responses.put_nowait(
                _Delta.DeltaDiscoveryResponse(
                    system_version_info=str(self._generation),
                    type_url=kind,
                    nonce=f"{kind}/{self._generation}/{len(mine.sent)}",
                    removed_resources=gone,
                    resources=[_Delta.Resource(name=r.name, version=r.version, resource=r.packed) for r in changed],
                )
            )
