"""A Kubernetes API server that keeps objects in a dict, for the real client; on loopback, with faults on request.

Known kinds are those of harness.objects.kind_namespace_name. Server-side apply records which manager owns which field
and reports conflicts as the real one does; `refuse` and `hang` plant faults. Errors have the shape metav1.Status, as on
a kind cluster.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from harness.cluster.emulated.api import discovery, field_managers
from harness.cluster.emulated.api.errors import ApiError
from harness.cluster.emulated.api.kinds import ResourceKind
from harness.cluster.emulated.api.selectors import matches
from harness.objects.kind_namespace_name import KINDS, Ref, parse_ref, ref_of
from harness.objects.patches import merge_patch

Object = dict[str, Any]
PLURALS = {"EndpointSlice": "endpointslices", "GatewayClass": "gatewayclasses", "EnvoyProxy": "envoyproxies"}


def plural(kind: str) -> str:
    lower = kind.lower()
    return PLURALS.get(kind) or (f"{lower[:-1]}ies" if lower.endswith(("cy", "ry")) else f"{lower}s")


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class Fault:
    """What meets the next `times` requests with that method and that in their path."""

    method: str
    part: str
    status: int = 0
    message: str = ""
    times: int = 1_000_000
    seconds: float = 0.0


@dataclass
class Exec:
    """What a program in a pod does: `code` None closes the stream without a word on its end; `hang` never ends, and
    `until_stopped` not before something is written to it."""

    stdout: str = ""
    stderr: str = ""
    code: int | None = 0
    hang: bool = False
    until_stopped: bool = False


@dataclass
class FakeApi:
    """The server's state; tests look at it and change it directly."""

    objects: dict[str, Object] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=lambda: set(KINDS))
    logs: dict[tuple[str, ...], str] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    managed: dict[str, list[Object]] = field(default_factory=dict)  # the managedFields of objects, kept beside them
    on_get: Callable[[str], None] = lambda _: None
    execute: Callable[[list[str]], Exec] = lambda _: Exec()
    denied: set[tuple[str, str]] = field(default_factory=set)  # verbs and resources that access reviews deny
    page: str = ""  # when set, every answer is this text with status 200: a server that is not Kubernetes
    port: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    # -- what tests say -----------------------------------------------------------------------------------------

    def put(self, *objects: Object, manager: str = "somebody") -> None:
        for obj in objects:
            key = str(ref_of(obj))
            self.objects[key] = copy.deepcopy(obj)
            self._manage(key, obj, manager)

    def refuse(self, method: str, part: str, status: int, message: str = "", times: int = 1_000_000) -> None:
        self.faults.append(Fault(method, part, status, message, times))

    def hang(self, method: str, part: str, seconds: float, times: int = 1_000_000) -> None:
        self.faults.append(Fault(method, part, seconds=seconds, times=times))

    def asked(self, method: str, part: str = "") -> list[Seen]:
        return [seen for seen in self.requests if seen.method == method and part in seen.path]

    def kubeconfig(self, path: Path, context: str = "fake") -> Path:
        path.write_text(yaml.safe_dump(kubeconfig(f"http://127.0.0.1:{self.port}", context)))
        return path

    # -- serving ------------------------------------------------------------------------------------------------

    def serve(self) -> Iterator[FakeApi]:
        """Serves until the generator is closed."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.done.set()
            server.shutdown()
            server.server_close()

    def answer(self, seen: Seen) -> tuple[int, Any]:
        if seen.path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.4", "gitCommit": "", "gitTreeState": "",
                         "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64"}  # fmt: skip
        parts = [part for part in seen.path.split("/") if part]
        if parts[-1] == "selfsubjectaccessreviews":
            asked = seen.body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            return 201, {"status": {"allowed": (asked["verb"], resource) not in self.denied}}
        kinds = [_kind(kind) for kind in sorted(self.kinds)]
        if parts == ["api"]:
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            return 200, discovery.groups(kinds)
        version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        listed = discovery.resources(kinds, *_group_version(version))
        if listed is None:
            return status(404, "the server could not find the requested resource")
        if not rest:
            return 200, listed
        namespace, rest = (rest[1], rest[2:]) if rest[0] == "namespaces" and len(rest) > 2 else ("", rest)
        kind = next((k for k in self.kinds if KINDS[k][0] == version and plural(k) == rest[0]), "")
        if not kind:
            return status(404, "the server could not find the requested resource")
        return self._object(seen, kind, namespace, rest[1:])

    def _object(self, seen: Seen, kind: str, namespace: str, rest: list[str]) -> tuple[int, Any]:
        if not rest:
            items = [copy.deepcopy(o) for o in self._list(kind, namespace, seen.query.get("labelSelector", ""))]
            for item in items:  # as the real server has it: items of a list say neither
                del item["kind"], item["apiVersion"]
            start, limit = int(seen.query.get("continue") or 0), int(seen.query.get("limit") or len(items) or 1)
            more = {"continue": str(start + limit)} if start + limit < len(items) else {}
            page = items[start : start + limit]
            return 200, {"kind": f"{kind}List", "apiVersion": KINDS[kind][0], "metadata": more, "items": page}
        if rest[1:] == ["log"]:
            where = (namespace, rest[0], seen.query.get("container", ""))
            where += ("previous",) if seen.query.get("previous") == "true" else ()
            if where not in self.logs:
                return status(404, f'pods "{rest[0]}" not found')
            return 200, self.logs[where]
        if rest[1:2] == ["proxy"]:
            return 200, self.logs[(rest[0], "kubelet")]
        key = str(Ref(kind, rest[0], namespace))
        if rest[1:] == ["eviction"]:
            return status(201 if self.objects.pop(key, None) else 404, "")
        if seen.method == "PATCH":
            return self._patch(seen, key)
        if seen.method == "GET":
            self.on_get(key)
        if key not in self.objects:
            return status(404, f'{plural(kind)} "{rest[0]}" not found')
        if seen.method == "DELETE":
            if self.objects[key]["metadata"].get("finalizers"):
                self.objects[key]["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z"
            else:
                del self.objects[key]
            return status(200, "")
        return 200, self.objects[key]

    def _list(self, kind: str, namespace: str, labels: str) -> Iterator[Object]:
        selected = matches(labels, "")
        for key, obj in self.objects.items():
            if key.split("/")[0] == kind and namespace in ("", obj["metadata"].get("namespace")) and selected(obj):
                yield obj

    def _manage(self, key: str, obj: Object, manager: str) -> None:
        made: Object = {"apiVersion": obj["apiVersion"], "metadata": {}}
        field_managers.record(made, {manager: set(field_managers.leaves(obj))}, "")
        self.managed[key] = made["metadata"]["managedFields"]

    def _patch(self, seen: Seen, key: str) -> tuple[int, Any]:
        if "apply" not in seen.headers["content-type"]:
            if key not in self.objects:
                return status(404, f"{key} not found")
            self.objects[key] = merge_patch(self.objects[key], seen.body)
            return 200, self.objects[key]
        manager, force = seen.query["fieldManager"], seen.query.get("force", "").lower() == "true"
        if key not in self.objects:
            self.objects[key] = seen.body
            self._manage(key, seen.body, manager)
            return 201, self.objects[key]
        live = self.objects[key]
        live = live | {"metadata": live["metadata"] | {"managedFields": self.managed.get(key, [])}}
        try:
            after = field_managers.apply(live, seen.body, manager, force=force, now="")
        except ApiError as error:
            return error.code, error.status
        self.managed[key] = after["metadata"].pop("managedFields")
        self.objects[key] = after
        return 200, after


def kubeconfig(server: str, context: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    }


def named(name: str, **fields: Any) -> Object:
    """An object by its name ("Deployment/default/x"), with these top-level fields; metadata is merged."""
    found = parse_ref(name)
    metadata = {"name": found.name, **({"namespace": found.namespace} if found.namespace else {})}
    extra = fields.pop("metadata", {})
    return {"apiVersion": found.api_version, "kind": found.kind, "metadata": metadata | extra, **fields}


def status(code: int, message: str, reason: str = "") -> tuple[int, Object]:
    text = "Success" if code < 300 else "Failure"
    return code, {
        "kind": "Status", "apiVersion": "v1", "status": text, "message": message, "reason": reason, "code": code,
    }  # fmt: skip


def _group_version(version: str) -> tuple[str, str]:
    group, _, short = version.rpartition("/")
    return group, short


def _kind(kind: str) -> ResourceKind:
    version, namespaced = KINDS[kind]
    return ResourceKind(*_group_version(version), kind, plural(kind), namespaced)


def _handler(api: FakeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: no waiting for delayed acknowledgements
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None: ...

        def _do(self) -> None:
            split = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(split.query).items()}
            length = int(self.headers.get("content-length") or 0)
            body = yaml.load(self.rfile.read(length), yaml.CSafeLoader) if length else None
            headers = {key.lower(): value for key, value in self.headers.items()}
            seen = Seen(self.command, split.path.rstrip("/"), query, headers, body)
            api.requests.append(seen)
            fault = next((f for f in api.faults if f.method == seen.method and f.part in seen.path and f.times), None)
            if fault:
                fault.times -= 1
                if fault.seconds:
                    api.done.wait(fault.seconds)
                    self.close_connection = True
                    return
                self._say(*status(fault.status, fault.message))
            elif api.page:
                self._say(200, api.page)
            elif headers.get("upgrade", "").lower() == "websocket":
                self._exec(parse_qs(split.query)["command"])
            else:
                self._say(*api.answer(seen))

        do_GET = do_PATCH = do_DELETE = do_POST = do_PUT = _do

        def _say(self, code: int, body: Any) -> None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _exec(self, argv: list[str]) -> None:
            """Version 4 of the channel protocol: the first byte of a frame is 1 stdout, 2 stderr, 3 the end."""
            self.close_connection = True
            magic = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101, "Switching Protocols")
            self.send_header("upgrade", "websocket")
            self.send_header("connection", "Upgrade")
            self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(magic.encode()).digest()).decode())
            self.send_header("sec-websocket-protocol", "v4.channel.k8s.io")
            self.end_headers()
            result = api.execute(argv)
            for channel, text in ((1, result.stdout), (2, result.stderr)):
                data = text.encode()
                for start in range(0, len(data), 1000):  # several frames, cut anywhere, as the kubelet sends
                    self._frame(2, bytes([channel]) + data[start : start + 1000])
            self.wfile.flush()
            if result.hang:
                self.rfile.read(1)  # until the client closes
                return
            if result.until_stopped:
                self.rfile.read(1)
            if result.code is not None:
                cause = {"details": {"causes": [{"reason": "ExitCode", "message": str(result.code)}]}}
                ended = {"status": "Success"} if result.code == 0 else {"status": "Failure", **cause}
                self._frame(2, b"\x03" + json.dumps(ended).encode())
            self._frame(8, struct.pack("!H", 1000))
            self.wfile.flush()
            # What the client sends meanwhile is read: a connection that is closed with unread bytes is reset, and what
            # the client has not read yet is lost with it.
            self.connection.shutdown(socket.SHUT_WR)
            self.rfile.read()

        def _frame(self, opcode: int, data: bytes) -> None:
            size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack("!H", len(data))
            self.wfile.write(bytes([0x80 | opcode]) + size + data)

    return Handler
