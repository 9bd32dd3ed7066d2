"""The HTTP side of the API: paths and verbs to the store, errors to Status objects."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import yaml
from aiohttp import web

from harness.cluster.emulated.api import discovery, streams
from harness.cluster.emulated.api.errors import ApiError, bad
from harness.cluster.emulated.api.kinds import Object, ResourceKind
from harness.cluster.emulated.api.object_writes import Admission
from harness.cluster.emulated.api.selectors import Matches, fields, labels
from harness.cluster.emulated.api.store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: `name` and `sub` are empty for a list."""

    kind: ResourceKind
    namespace: str
    name: str
    sub: str


class ApiApplication:
    """The Kubernetes API over one store. `pods` answers for what runs: logs and exec."""

    def __init__(self, store: Store, admission: Admission, pods: streams.Pods, kubernetes: str) -> None:
        self.store, self.admission, self.pods, self.kubernetes = store, admission, pods, kubernetes

    def application(self) -> web.Application:
        """The web application; other routes (the emulator's own) may be added to it before it starts."""
        app = web.Application(middlewares=[_errors], client_max_size=64 << 20)
        app.router.add_get("/version{slash:/?}", self._version)
        app.router.add_get("/{probe:healthz|readyz|livez}", self._healthy)
        app.router.add_get("/api", self._core)
        app.router.add_get("/apis", self._groups)
        app.router.add_route("*", "/api/v1{rest:(/.*)?}", self._core_resources)
        app.router.add_route("*", "/apis/{group}/{version}{rest:(/.*)?}", self._group_resources)
        return app

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(discovery.version(self.kubernetes))

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _core(self, _: web.Request) -> web.Response:
        return web.json_response({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})

    async def _groups(self, _: web.Request) -> web.Response:
        return web.json_response(discovery.groups(self.store.kinds.values()))

    async def _core_resources(self, request: web.Request) -> web.StreamResponse:
        return await self._resources(request, "", "v1")

    async def _group_resources(self, request: web.Request) -> web.StreamResponse:
        return await self._resources(request, request.match_info["group"], request.match_info["version"])

    async def _resources(self, request: web.Request, group: str, version: str) -> web.StreamResponse:
        rest = [part for part in request.match_info["rest"].split("/") if part]
        if not rest:
            listed = discovery.resources(self.store.kinds.values(), group, version)
            if listed is None:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
            return web.json_response(listed)
        target = self._target(group, version, rest)
        if target.sub in ("log", "exec"):
            return await self._stream(request, target)
        verbs = {
            "GET": self._get if target.name else self._list,
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete if target.name else self._delete_all,
        }
        verb = verbs.get(request.method)
        if verb is None or (request.method in ("PUT", "PATCH") and not target.name):
            raise ApiError(405, "MethodNotAllowed", f"{request.method} is not allowed here")
        if request.query.get("dryRun"):
            raise bad("dryRun is not emulated")
        return await verb(request, target)

    def _target(self, group: str, version: str, rest: list[str]) -> Target:
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        name, sub = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
        kind = self.store.kind(group, version, rest[0])
        if len(rest) > 3 or (sub and sub not in kind.subresources) or (namespace and not kind.namespaced):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return Target(kind, namespace, name, sub)

    async def _get(self, _: web.Request, target: Target) -> web.StreamResponse:
        found = self.store.get(target.kind, target.namespace, target.name)
        return _json(_scale(found) if target.sub == "scale" else _as(target.kind, found))

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        matches = _selected(request, target)
        if request.query.get("watch", "").lower() in ("1", "true"):
            return await streams.watch(request, self.store, target.kind, matches)
        found = self.store.all(target.kind.storage, target.namespace or None)
        items = [_as(target.kind, obj) for obj in found if matches(obj)]
        return _json(
            {
                "kind": f"{target.kind.name}List",
                "apiVersion": target.kind.api_version,
                "metadata": {"resourceVersion": str(self.store.version)},
                "items": items,
            }
        )

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        made = self.admission.create(target.kind, target.namespace, await _body(request), _manager(request))
        return _json(_as(target.kind, made), 201)

    async def _replace(self, request: web.Request, target: Target) -> web.StreamResponse:
        body, manager = await _body(request), _manager(request)
        if target.sub == "scale":
            wanted = int(body["spec"].get("replicas", 0))
            scaled = self.admission.scale(target.kind, target.namespace, target.name, wanted, manager)
            return _json(_scale(scaled))
        status = target.sub == "status"
        written = self.admission.replace(target.kind, target.namespace, target.name, body, manager, status=status)
        return _json(_as(target.kind, written))

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        body = await _body(request)
        if target.sub == "scale":
            wanted = int(body["spec"]["replicas"])
            scaled = self.admission.scale(target.kind, target.namespace, target.name, wanted, _manager(request))
            return _json(_scale(scaled))
        applying = request.content_type == "application/apply-patch+yaml"
        written, fresh = self.admission.patch(
            target.kind,
            target.namespace,
            target.name,
            body,
            request.query.get("fieldManager", "") if applying else _manager(request),
            how=request.content_type,
            force=request.query.get("force", "").lower() == "true",
            status=target.sub == "status",
        )
        return _json(_as(target.kind, written), 201 if fresh else 200)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = await _body(request) if request.can_read_body else {}
        grace = request.query.get("gracePeriodSeconds") or (options or {}).get("gracePeriodSeconds")
        gone = self.store.delete(
            target.kind, target.namespace, target.name, grace=None if grace is None else int(grace)
        )
        return _json(_as(target.kind, gone))

    async def _delete_all(self, request: web.Request, target: Target) -> web.StreamResponse:
        matches = _selected(request, target)
        for obj in self.store.all(target.kind.storage, target.namespace or None):
            meta = obj["metadata"]
            if matches(obj) and self.store.find(target.kind.storage, meta.get("namespace", ""), meta["name"]):
                self.store.delete(target.kind, meta.get("namespace", ""), meta["name"])
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def _stream(self, request: web.Request, target: Target) -> web.StreamResponse:
        pod = self.store.get(target.kind, target.namespace, target.name)
        serve = streams.log if target.sub == "log" else streams.execute
        return await serve(request, pod, self.pods)


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


def _scale(obj: Object) -> Object:
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in shown},
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {"replicas": obj.get("status", {}).get("replicas", 0)},
    }


def _selected(request: web.Request, target: Target) -> Matches:
    """Whether an object is in the target's namespace and matches the query's selectors."""
    by_label = labels(request.query.get("labelSelector", ""))
    by_field = fields(request.query.get("fieldSelector", ""))

    def matches(obj: Object) -> bool:
        here = not target.namespace or obj["metadata"].get("namespace") == target.namespace
        return here and by_label(obj) and by_field(obj)

    return matches


def _manager(request: web.Request) -> str:
    agent = request.headers.get("User-Agent", "unknown").split("/")[0]
    return request.query.get("fieldManager") or agent


async def _body(request: web.Request) -> Any:
    text = await request.text()
    try:
        # JSON is YAML, but ten times faster to read as what it is
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise bad(f"the body is neither JSON nor YAML: {error}") from None
