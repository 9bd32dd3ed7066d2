"""Answers that are streams: watches, pod logs, exec over a websocket as kubectl and the Python client speak it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aiohttp import WSMsgType, web

from harness.cluster.emulated.api.errors import ApiError, bad
from harness.cluster.emulated.api.kinds import Object, ResourceKind
from harness.cluster.emulated.api.selectors import Matches
from harness.cluster.emulated.api.store import Change, Store

EXEC_PROTOCOL = "v4.channel.k8s.io"
_STDOUT, _STDERR, _ERROR = b"\x01", b"\x02", b"\x03"
_CHUNK = 32 << 10


@dataclass(frozen=True, slots=True)
class Line:
    """One line a container wrote, and when."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command left behind."""

    stdout: str
    stderr: str
    code: int


class Pods(Protocol):
    """What runs behind the pods."""

    def logs(self, pod: Object, container: str, *, previous: bool) -> Sequence[Line]:
        """All lines of a container, oldest first.

        Raises:
            ApiError: 400, there is no such (previous) container, or it has not started.
        """

    async def execute(self, pod: Object, container: str, command: Sequence[str]) -> CommandResult:
        """Carries out a command in a container.

        Raises:
            ApiError: 400 or 422, the command cannot be emulated, or the container does not run.
        """


async def watch(request: web.Request, store: Store, kind: ResourceKind, matches: Matches) -> web.StreamResponse:
    """Streams the changes of a kind from a resourceVersion on; without one, first what there is, as ADDED."""
    since = request.query.get("resourceVersion", "")
    seconds = float(request.query.get("timeoutSeconds", 3600))
    queue: asyncio.Queue[Change] = asyncio.Queue()
    first = _backlog(store, kind, int(since) if since not in ("", "0") else None)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    store.watchers.add(queue)
    try:
        await response.prepare(request)
        if first is None:
            gone = ApiError(410, "Expired", f"too old resource version: {since} ({store.version})")
            await response.write(_event("ERROR", gone.status))
            return response
        async with asyncio.timeout(seconds):
            for change in first:
                if matches(change.object):
                    await response.write(_event(change.type, change.object))
            while True:
                change = await queue.get()
                if change.key.storage == kind.storage and matches(change.object):
                    await response.write(_event(change.type, change.object))
    except (TimeoutError, ConnectionResetError):
        pass  # the watch ends as its client asked, or its client has gone
    finally:
        store.watchers.discard(queue)
    return response


def _backlog(store: Store, kind: ResourceKind, since: int | None) -> list[Change] | None:
    """What a watch shows before anything new happens; None when that is no longer known."""
    if since is None:
        found = [(key, obj) for key, obj in store.objects.items() if key.storage == kind.storage]
        return [Change(0, "ADDED", key, obj) for key, obj in sorted(found, key=lambda one: one[0])]
    if store.history and since < store.history[0].version - 1:
        return None
    return [change for change in store.history if change.version > since and change.key.storage == kind.storage]


def _event(type_: str, obj: Object) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


async def log(request: web.Request, pod: Object, pods: Pods) -> web.StreamResponse:
    """The lines of one container, as the query asks for them."""
    query = request.query
    if query.get("follow", "").lower() == "true":
        raise bad("follow is not emulated: read the log again with sinceSeconds or sinceTime")
    container = _container(pod, query.get("container", ""))
    lines: Sequence[Line] = pods.logs(pod, container, previous=query.get("previous", "").lower() == "true")
    since = None
    if "sinceSeconds" in query:
        since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
    elif "sinceTime" in query:
        since = datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00"))
    if since:
        lines = [line for line in lines if line.at >= since]
    if "tailLines" in query:
        tail = int(query["tailLines"])
        lines = lines[len(lines) - tail :] if tail < len(lines) else lines
    stamped = query.get("timestamps", "").lower() == "true"
    text = "".join(
        f"{line.at:%Y-%m-%dT%H:%M:%S.%f}000Z {line.text}\n" if stamped else f"{line.text}\n" for line in lines
    )
    if "limitBytes" in query:
        text = text.encode()[: int(query["limitBytes"])].decode(errors="ignore")
    return web.Response(text=text, content_type="text/plain")


async def execute(request: web.Request, pod: Object, pods: Pods) -> web.StreamResponse:
    """Runs a command and streams what it left: channel 1 stdout, 2 stderr, 3 the status, as v4.channel.k8s.io."""
    container = _container(pod, request.query.get("container", ""))
    command = request.query.getall("command", [])
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if EXEC_PROTOCOL not in offered:
        raise bad(f"exec is emulated over a websocket of {EXEC_PROTOCOL} only, not {offered!r}")
    if request.query.get("stdin", "").lower() == "true" or request.query.get("tty", "").lower() == "true":
        raise bad("exec with stdin or a terminal is not emulated")
    socket = web.WebSocketResponse(protocols=(EXEC_PROTOCOL,))
    await socket.prepare(request)
    running = asyncio.ensure_future(_carry_out(pods, pod, container, command))
    hung_up = asyncio.ensure_future(_hang_up(socket))
    await asyncio.wait({running, hung_up}, return_when=asyncio.FIRST_COMPLETED)
    hung_up.cancel()
    if not running.done():
        running.cancel()
        return socket
    ended = running.result()
    for channel, text in ((_STDOUT, ended.stdout), (_STDERR, ended.stderr)):
        for at in range(0, len(text), _CHUNK):  # by characters: clients decode each frame by itself
            await socket.send_bytes(channel + text[at : at + _CHUNK].encode())
    await socket.send_bytes(_ERROR + json.dumps(_exit(ended.code)).encode())
    await socket.close()
    return socket


async def _carry_out(pods: Pods, pod: Object, container: str, command: Sequence[str]) -> CommandResult:
    try:
        return await pods.execute(pod, container, command)
    except ApiError as error:  # the socket is open already: say it there, as a shell says an unknown command
        return CommandResult("", f"the emulated cluster refuses: {error.message}\n", 126)


async def _hang_up(socket: web.WebSocketResponse) -> None:
    while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
        pass


def _exit(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _container(pod: Object, asked: str) -> str:
    """The container meant; like the real API, a pod of several wants it named."""
    name, names = pod["metadata"]["name"], [one["name"] for one in pod["spec"]["containers"]]
    if asked and asked not in names:
        raise bad(f"container {asked} is not valid for pod {name}")
    if not asked and len(names) > 1:
        raise bad(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")
    return asked or names[0]
