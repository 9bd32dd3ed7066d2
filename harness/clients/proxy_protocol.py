"""Relays connections on this machine and begins each with a PROXY protocol header, as a load balancer does.

https://www.haproxy.org/download/2.1/doc/proxy-protocol.txt, 2.1 (version 1, text) and 2.2 (version 2, binary).
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from harness import timeouts
from harness.clients.http import IngressClient
from harness.objects.address_with_port import url

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY_TCP4 = b"\x21\x11"  # version 2, command PROXY; TCP over IPv4
_SOURCE_PORT = 40000


def proxy_header(version: int, source: str, destination: tuple[str, int]) -> bytes:
    """The header of a connection from an IPv4 address to an IPv4 address and port, in version 1 or 2."""
    host, port = destination
    if version == 1:
        return f"PROXY TCP4 {source} {host} {_SOURCE_PORT} {port}\r\n".encode()
    addresses = struct.pack("!4s4sHH", IPv4Address(source).packed, IPv4Address(host).packed, _SOURCE_PORT, port)
    return _SIGNATURE + _PROXY_TCP4 + struct.pack("!H", len(addresses)) + addresses


@contextmanager
def relayed_client(client: IngressClient, version: int, source: str) -> Iterator[IngressClient]:
    """A client of the same address whose connections begin with the header of one from `source`."""
    target = urlsplit(client.base_url)
    destination = (str(target.hostname), int(target.port or 80))
    header = proxy_header(version, source, destination)

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(destination, timeout=timeouts.HTTP_CONNECT) as upstream:
                upstream.settimeout(timeouts.HTTP)
                upstream.sendall(header)
                back = threading.Thread(target=_copy, args=(upstream, self.request), daemon=True)
                back.start()
                _copy(self.request, upstream)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Connection) as relay:
        relay.daemon_threads = True
        threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            host, port = relay.socket.getsockname()
            yield IngressClient(url(host, port), f"PROXY protocol v{version} from {source} to {client.via}")
        finally:
            relay.shutdown()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until `source` ends or is reset; then `sink` gets its end."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
