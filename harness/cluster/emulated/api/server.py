"""The HTTP server of the emulated Kubernetes API."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from harness.cluster.emulated.api import discovery, streams
from harness.cluster.emulated.api.errors import ApiError, bad
from harness.cluster.emulated.api.kinds import Object, ResourceKind
from harness.cluster.emulated.api.object_writes import Admission
from harness.cluster.emulated.api.selectors import matches
from harness.cluster.emulated.api.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: `name` is empty for a list, `sub` is log, exec or empty."""

    kind: ResourceKind
    namespace: str
    name: str
    sub: str


class ApiApplication:
    """The Kubernetes API over one store: get, list, patch, delete. `pods` answers for what runs: logs and exec."""

    def __init__(self, store: Store, admission: Admission, pods: streams.Pods, kubernetes: str) -> None:
        self.store, self.admission, self.pods, self.kubernetes = store, admission, pods, kubernetes

    def application(self) -> web.Application:
        """The web application; other routes (the emulator's own) may be added to it before it starts."""
        app = web.Application(middlewares=[_errors], client_max_size=64 << 20)
        app.router.add_get("/version{slash:/?}", self._version)
        app.router.add_get("/api", self._core)
        app.router.add_get("/apis", self._groups)
        app.router.add_route("*", "/api/{version}{rest:(/.*)?}", self._resources)
        app.router.add_route("*", "/apis/{group}/{version}{rest:(/.*)?}", self._resources)
        return app

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(discovery.version(self.kubernetes))

    async def _core(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})

    async def _groups(self, _: web.Request) -> web.Response:
        return web.json_response(discovery.groups(self.store.kinds.values()))

    async def _resources(self, request: web.Request) -> web.StreamResponse:
        group, version = request.match_info.get("group", ""), request.match_info["version"]
        rest = [part for part in request.match_info["rest"].split("/") if part]
        if not rest:
            listed = discovery.resources(self.store.kinds.values(), group, version)
            if listed is None:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
            return web.json_response(listed)
        target = self._target(group, version, rest)
        if target.sub:
            pod = self.store.get(target.kind, target.namespace, target.name)
            return await (streams.log if target.sub == "log" else streams.execute)(request, pod, self.pods)
        verbs = {"GET": self._get, "PATCH": self._patch, "DELETE": self._delete} if target.name else {"GET": self._list}
        if request.method not in verbs or {"watch", "dryRun"} & set(request.query):
            raise ApiError(405, "MethodNotAllowed", f"{request.method} {request.path_qs} is not emulated")
        return await verbs[request.method](request, target)

    def _target(self, group: str, version: str, rest: list[str]) -> Target:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        name, sub = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
        kind = self.store.kind(group, version, rest[0])
        if len(rest) > 3 or (sub and sub not in kind.subresources) or (namespace and not kind.namespaced):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return Target(kind, namespace, name, sub)

    async def _get(self, _: web.Request, target: Target) -> web.StreamResponse:
        return _json(_as(target.kind, self.store.get(target.kind, target.namespace, target.name)))

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        selected = matches(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        found = self.store.all(target.kind.storage, target.namespace or None)
        return _json(
            {
                "kind": f"{target.kind.name}List",
                "apiVersion": target.kind.api_version,
                "metadata": {"resourceVersion": str(self.store.version)},
                "items": [_as(target.kind, obj) for obj in found if selected(obj)],
            }
        )

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        written, fresh = self.admission.patch(
            target.kind,
            target.namespace,
            target.name,
            await _body(request),
            request.query.get("fieldManager", ""),
            how=request.content_type,
            force=request.query.get("force", "").lower() == "true",
        )
        return _json(_as(target.kind, written), 201 if fresh else 200)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        grace = request.query.get("gracePeriodSeconds")
        gone = self.store.delete(
            target.kind, target.namespace, target.name, grace=None if grace is None else int(grace)
        )
        return _json(_as(target.kind, gone))


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _json(error.status, error.code)
    except web.HTTPNotFound:
        return _json(ApiError(404, "NotFound", "the server could not find the requested resource").status, 404)


def _json(body: Object, code: int = 200) -> web.Response:
    return web.json_response(body, status=code)


def _as(kind: ResourceKind, obj: Object) -> Object:
    """The object in the version it was asked for."""
    return obj if obj["apiVersion"] == kind.api_version else obj | {"apiVersion": kind.api_version}


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.text())
    except ValueError as error:
        raise bad(f"the body is not JSON: {error}") from None
