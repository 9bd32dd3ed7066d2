"""Pod logs, and exec over a websocket, of the emulated API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aiohttp import WSMsgType, web

from harness.cluster.emulated.api.errors import ApiError, bad
from harness.cluster.emulated.api.kinds import Object

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


async def log(request: web.Request, pod: Object, pods: Pods) -> web.StreamResponse:
    """The lines of one container, as the query asks for them."""
    query = request.query
    if other := set(query) - {"container", "previous", "sinceSeconds", "timestamps"}:
        raise bad(f"{', '.join(sorted(other))} of a log is not emulated")
    container = _container(pod, query.get("container", ""))
    lines = pods.logs(pod, container, previous=query.get("previous", "").lower() == "true")
    if "sinceSeconds" in query:
        since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
        lines = [line for line in lines if line.at >= since]
    stamped = query.get("timestamps", "").lower() == "true"
    text = "".join(
        f"{line.at:%Y-%m-%dT%H:%M:%S.%f}000Z {line.text}\n" if stamped else f"{line.text}\n" for line in lines
    )
    return web.Response(text=text, content_type="text/plain")


async def execute(request: web.Request, pod: Object, pods: Pods) -> web.StreamResponse:
    """Runs a command and streams what it left: channel 1 stdout, 2 stderr, 3 the status, as v4.channel.k8s.io."""
    container = _container(pod, request.query.get("container", ""))
    command = request.query.getall("command", [])
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    if EXEC_PROTOCOL not in offered:
        raise bad(f"exec is emulated over a websocket of {EXEC_PROTOCOL} only, not {offered!r}")
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
