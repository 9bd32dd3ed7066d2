"""Copies bytes between two TCP connections in both directions, and counts them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 65536
_FIRST_BYTE = 10.0  # seconds: most clients send at once, on a busy machine later
_LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Conn:
    """One TCP connection's two halves."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def peer(self) -> str:
        ip, port = self.writer.get_extra_info("peername")[:2]
        return f"{ip}:{port}"

    @property
    def local(self) -> str:
        ip, port = self.writer.get_extra_info("sockname")[:2]
        return f"{ip}:{port}"

    def reset(self) -> None:
        """Ends it with a TCP reset: the peer sees "Connection reset by peer"."""
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.writer.transport.abort()

    async def refuse(self) -> None:
        """Ends it with a TCP reset once the client has begun to send: an HBONE handshake that fails takes as long. Cut
        earlier, curl would report that it could not connect, and not from which port."""
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.reader.read(1), _FIRST_BYTE)
        self.reset()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def dial(source_ip: str, to: tuple[str, int]) -> Conn:
    """A connection from an address of ours, so that whoever answers knows the pod by it.

    Raises:
        OSError: nothing listens there.
    """
    return Conn(*await asyncio.open_connection(*to, local_addr=(source_ip, 0), limit=_CHUNK))


async def splice(client: Conn, server: Conn, count: Callable[[int, int], None]) -> None:
    """Carries bytes both ways until both sides are done; `count(to_server, to_client)` hears of each chunk.

    Raises:
        OSError: one side broke off; both are reset then.
    """
    tasks = [
        asyncio.create_task(_copy(client.reader, server.writer, lambda n: count(n, 0))),
        asyncio.create_task(_copy(server.reader, client.writer, lambda n: count(0, n))),
    ]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        client.reset()
        server.reset()
        raise
    await client.close()
    await server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
    while data := await reader.read(_CHUNK):
        count(len(data))
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof() and not writer.is_closing():
        with contextlib.suppress(OSError):  # it is gone already: nothing was left to say
            writer.write_eof()
