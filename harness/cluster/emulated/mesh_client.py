"""curl in the mesh client's pod: the command line of harness/clients/curl.py, carried out from the pod's address."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from harness.cluster.emulated.api.errors import ApiError
from harness.cluster.emulated.api.streams import CommandResult
from harness.cluster.emulated.network.addresses import door, meant

_FLAGS = frozenset({"--silent"})
_VALUES = frozenset({"--max-time", "--output", "--user-agent", "--header", "--write-out"})
_EXIT_RESOLVE, _EXIT_CONNECT, _EXIT_TIMEOUT, _EXIT_EMPTY, _EXIT_RECEIVE = 6, 7, 28, 52, 56

Resolve = Callable[[str], str]  # a host to an address; KeyError: there is no such name


@dataclass(frozen=True, slots=True)
class Transfer:
    """One request of the command line."""

    url: str
    headers: tuple[tuple[str, str], ...]
    max_time: float
    write_out: str


@dataclass
class _TransferResult:
    """What became of a transfer, as curl's %{json} and %{header_json} tell it."""

    facts: dict[str, Any]
    headers: dict[str, list[str]] = field(default_factory=dict)


def parse(argv: Sequence[str]) -> tuple[list[Transfer], int]:
    """The transfers of a curl command line, and how many may go together.

    Raises:
        ApiError: 422, an option that is not emulated, or a transfer without an http URL.
    """
    groups: list[list[str]] = [[]]
    at_once, rest = 1, list(argv[1:])
    while rest:
        word = rest.pop(0)
        if word == "--next":
            groups.append([])
        elif word == "--parallel-max":
            at_once = int(rest.pop(0))
        elif word in _VALUES:
            groups[-1] += [word, rest.pop(0)]
        elif word in _FLAGS or not word.startswith("-"):
            groups[-1].append(word)
        elif word not in ("--parallel", "--parallel-immediate"):
            raise _refused(f"curl's option {word}")
    return [_transfer(group) for group in groups], at_once


def _transfer(group: list[str]) -> Transfer:
    url, headers, max_time, write_out = "", list[tuple[str, str]](), 300.0, ""
    words = iter(group)
    for word in words:
        if word == "--header":
            name, _, value = next(words).partition(":")
            headers.append((name.strip().lower(), value.strip()))
        elif word == "--user-agent":
            headers.append(("user-agent", next(words)))
        elif word == "--max-time":
            max_time = float(next(words))
        elif word == "--write-out":
            write_out = next(words).replace("\\n", "\n")
        elif word == "--output":
            if next(words) != "/dev/null":
                raise _refused("curl's --output to a file")
        elif not word.startswith("--"):
            url = word
    if not url.startswith("http://"):
        raise _refused(f"curl to {url!r}: only http URLs")
    unknown = set(re.findall(r"%\{(\w+)\}", write_out)) - {"json", "header_json"}
    if unknown:
        raise _refused(f"curl's --write-out variables {sorted(unknown)}")
    return Transfer(url, tuple(headers), max_time, write_out)


def _refused(what: str) -> ApiError:
    return ApiError(422, "Invalid", f"{what} is not emulated")


async def curl(argv: Sequence[str], *, source: str, resolve: Resolve) -> CommandResult:
    """Carries out a curl command line from the address `source`. Connections are kept and used again, as curl's are.

    Raises:
        ApiError: 422, see `parse`.
    """
    transfers, at_once = parse(argv)
    pool, gate = _Pool(source, resolve), asyncio.Semaphore(at_once)
    written: list[str] = []

    async def one(transfer: Transfer) -> int:
        async with gate:
            result = await _carry_out(transfer, pool)
        values = {"json": json.dumps(result.facts), "header_json": json.dumps(result.headers)}
        written.append(re.sub(r"%\{(\w+)\}", lambda found: values[found[1]], transfer.write_out))
        return int(result.facts["exitcode"])

    try:
        if at_once == 1:
            codes = [await one(transfer) for transfer in transfers]
        else:
            codes = list(await asyncio.gather(*map(one, transfers)))
    finally:
        pool.close()
    return CommandResult("".join(written), "", next((code for code in codes if code), 0))


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()


class _Pool:
    """Connections by host and port; an idle one is used again."""

    def __init__(self, source: str, resolve: Resolve) -> None:
        self._source, self._resolve = source, resolve
        self._idle: dict[tuple[str, int], list[_Connection]] = {}
        self._all: list[_Connection] = []

    async def get(self, host: str, port: int) -> tuple[_Connection, bool]:
        """A connection, and whether it is a new one."""
        idle = self._idle.get((host, port), [])
        while idle:
            found = idle.pop()
            if found.usable:
                return found, False
        address, source = self._resolve(host), (self._source, 0)
        made = _Connection(*await asyncio.open_connection(address, door(port), local_addr=source, limit=1 << 20))
        self._all.append(made)
        return made, True

    def put(self, host: str, port: int, connection: _Connection) -> None:
        self._idle.setdefault((host, port), []).append(connection)

    def close(self) -> None:
        for one in self._all:
            one.writer.close()


async def _carry_out(transfer: Transfer, pool: _Pool) -> _TransferResult:
    started = time.monotonic()
    result = _TransferResult(_facts(transfer))
    try:
        async with asyncio.timeout(transfer.max_time):
            await _exchange(transfer, pool, result, started)
    except KeyError:
        host = urlsplit(transfer.url).hostname
        _failed(result, _EXIT_RESOLVE, f"Could not resolve host: {host}")
    except TimeoutError:
        after = int((time.monotonic() - started) * 1000)
        _failed(result, _EXIT_TIMEOUT, f"Operation timed out after {after} milliseconds with 0 bytes received")
    except asyncio.IncompleteReadError as error:
        empty = not error.partial and not result.facts["response_code"]
        _failed(result, _EXIT_EMPTY if empty else _EXIT_RECEIVE, "Empty reply from server" if empty else "Recv failure")
    except OSError as error:
        connected = result.facts["local_port"] != 0
        parts = urlsplit(transfer.url)
        message = (
            f"Recv failure: {error.strerror}"
            if connected
            else f"Failed to connect to {parts.hostname} port {parts.port or 80}: Could not connect to server"
        )
        _failed(result, _EXIT_RECEIVE if connected else _EXIT_CONNECT, message)
    result.facts["time_total"] = round(time.monotonic() - started, 6)
    return result


async def _exchange(transfer: Transfer, pool: _Pool, result: _TransferResult, started: float) -> None:
    parts = urlsplit(transfer.url)
    host, port = parts.hostname or "", parts.port or 80
    while True:
        connection, fresh = await pool.get(host, port)
        try:
            await _over(connection, transfer, result, started, fresh=fresh)
        except (ConnectionError, asyncio.IncompleteReadError):
            if fresh or result.facts["response_code"]:
                raise
            continue  # the server closed a connection that lay idle: curl takes a new one
        if connection.usable:
            pool.put(host, port, connection)
        return


async def _over(
    connection: _Connection, transfer: Transfer, result: _TransferResult, started: float, *, fresh: bool
) -> None:
    parts, facts = urlsplit(transfer.url), result.facts
    local, remote = connection.writer.get_extra_info("sockname"), connection.writer.get_extra_info("peername")
    facts |= {"local_ip": local[0], "local_port": local[1], "remote_ip": remote[0], "remote_port": meant(remote[1])}
    facts |= {"num_connects": int(fresh), "time_connect": round(time.monotonic() - started, 6)}
    headers = {"host": parts.netloc, "accept": "*/*"} | dict(transfer.headers)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    connection.writer.write("\r\n".join(lines).encode())
    await connection.writer.drain()
    head = (await connection.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    facts["time_starttransfer"] = round(time.monotonic() - started, 6)
    facts["http_version"] = head[0].split(" ")[0].removeprefix("HTTP/")
    facts["response_code"] = facts["http_code"] = int(head[0].split(" ")[1])
    for line in head[1:]:
        if line:
            name, _, value = line.partition(":")
            result.headers.setdefault(name.strip().lower(), []).append(value.strip())
    facts["num_headers"] = sum(map(len, result.headers.values()))
    facts["content_type"] = next(iter(result.headers.get("content-type", ())), None)
    facts["size_download"] = await _body(connection.reader, result)
    if "close" in result.headers.get("connection", ()) or connection.reader.at_eof():
        connection.writer.close()


async def _body(reader: asyncio.StreamReader, result: _TransferResult) -> int:
    """Reads the body, and says how long it is; one without a declared length ends with its connection."""
    if "chunked" in "".join(result.headers.get("transfer-encoding", ())).lower():
        total = 0
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
            total += size
        await reader.readuntil(b"\r\n")
        return total
    if length := result.headers.get("content-length"):
        return len(await reader.readexactly(int(length[0])))
    return len(await reader.read())


def _failed(result: _TransferResult, code: int, message: str) -> None:
    result.facts |= {"exitcode": code, "errormsg": message}


def _facts(transfer: Transfer) -> dict[str, Any]:
    return {
        "content_type": None,
        "errormsg": None,
        "exitcode": 0,
        "http_code": 0,
        "http_version": "0",
        "local_ip": "",
        "local_port": 0,
        "method": "GET",
        "num_connects": 0,
        "num_headers": 0,
        "remote_ip": "",
        "remote_port": 0,
        "response_code": 0,
        "scheme": "http",
        "size_download": 0,
        "time_connect": 0.0,
        "time_starttransfer": 0.0,
        "time_total": 0.0,
        "url": transfer.url,
        "url_effective": transfer.url,
    }
