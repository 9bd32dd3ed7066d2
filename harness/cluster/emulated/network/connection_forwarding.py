"""Forwards one connection from pod to pod, as ztunnel or kube-proxy does, and reports both sides.

Between two enrolled pods the connection really goes through <destination pod IP>:15008, where either the
destination's ztunnel answers, or whoever else holds that port (docs/port-15008.md). What it answers stands for
HBONE's CONNECT; there is no TLS, identities are known by address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.cluster.emulated.network import ztunnel_access_line as lines
from harness.cluster.emulated.network.addresses import hidden, meant
from harness.cluster.emulated.network.connection_target import MeshState, NoRoute, RoutingDecision
from harness.cluster.emulated.network.model import HBONE_PORT, MeshWorkload
from harness.cluster.emulated.network.splice import Conn, dial, splice
from harness.cluster.emulated.network.ztunnel_access_line import Connection

_OWN_PORTS = range(19000, 19004)  # of Envoy Gateway's proxies: no PROXY header is read there
_OK = b"200\n"


class Observer(Protocol):
    """Who hears of connections: ztunnel, which keeps books and writes lines."""

    def opened(self, flow: Connection) -> None: ...

    def closed(self, flow: Connection) -> None:
        """Called once for each opened flow, with `error` set if it failed."""

    def failed(self, workload: MeshWorkload, src: str, dst: str, error: str) -> None:
        """ztunnel had nowhere to send a connection of this workload."""


@dataclass(slots=True)
class Carrier:
    """`up(workload)` is whether that pod's ztunnel proxy runs; `plaintext` and `bypass` are faults (see routing)."""

    state: MeshState
    observer: Observer
    up: Callable[[MeshWorkload], bool]
    plaintext: Callable[[], set[str]]
    bypass: Callable[[], set[str]]

    async def accept(self, client: Conn) -> None:
        """A connection to a pod's, Service's or node's address, from whoever dialled it."""
        src_ip = client.peer.rpartition(":")[0]
        ip, port = client.writer.get_extra_info("sockname")[:2]
        port = meant(port)
        src = self.state.workloads.get(src_ip)
        if src and src.enrolled and not self.up(src):
            await client.refuse()  # redirected to a ztunnel that does not exist
            return
        try:
            if src and src.enrolled:
                await self._outbound(client, src, ip, port)
            else:
                await self._plain(client, src, self.state.direct(ip, port), [])
        except NoRoute as nowhere:
            if src and src.enrolled:
                self.observer.failed(src, client.peer, f"{ip}:{port}", str(nowhere))
            await client.refuse()

    async def _outbound(self, client: Conn, src: MeshWorkload, ip: str, port: int) -> None:
        route = self.state.captured(ip, port, plaintext=self.plaintext(), bypass=self.bypass(), source=src)
        service = route.service.hostname if route.service else None
        flow = Connection("outbound", src, client.peer, src, f"{route.to.ip}:{route.port}", route.to, service=service)
        if route.hbone is None:
            await self._plain(client, src, route, [flow])
            return
        flow.dst_addr, flow.hbone_addr, flow.mtls = f"{route.to.ip}:{HBONE_PORT}", route.hbone, True
        self.observer.opened(flow)
        try:
            server = await self._connect(src, client.peer, route)
        except OSError as error:
            flow.error = _words(error)
            await client.refuse()
            self.observer.closed(flow)
            return
        await self._join(client, server, [flow])

    async def _connect(self, src: MeshWorkload, src_addr: str, route: RoutingDecision) -> Conn:
        """HBONE: asks whoever holds the pod's port 15008 to be led on.

        Raises:
            OSError: nothing listens there, or it is not a ztunnel, or it rejects the connection.
        """
        server = await dial(src.ip, (route.to.ip, HBONE_PORT))
        asked = {"to": route.hbone, "port": route.port, "client": src_addr}
        asked["service"] = route.service.hostname if route.service else None
        answer = b""
        try:
            server.writer.write(json.dumps(asked).encode() + b"\n")
            answer = await server.reader.readline()
            if answer == _OK:
                return server
        finally:
            if answer != _OK:
                server.reset()
        raise OSError(f"http status: {answer.decode().strip()}" if answer else lines.TLS_EOF)

    async def inbound(self, client: Conn, pod: MeshWorkload) -> None:
        """A connection to an enrolled pod's port 15008, which its ztunnel holds."""
        try:
            asked = json.loads(await client.reader.readline())
            target, port, src_addr = str(asked["to"]), int(asked["port"]), str(asked["client"])
        except (ValueError, KeyError, OSError):
            client.reset()  # not another ztunnel: its TLS handshake would fail
            return
        src = self.state.workloads.get(client.peer.rpartition(":")[0])
        service = self.state.inbound_service(pod, port, asked.get("service"))
        flow = Connection("inbound", pod, client.peer, src, f"{pod.ip}:{HBONE_PORT}", pod, target, service, mtls=True)
        self.observer.opened(flow)
        if not self.state.accepts(pod, target):
            await self._refuse(client, flow, "400 Bad Request", f"ip mismatch: {target.rpartition(':')[0]} != {pod.ip}")
            return
        if not self.state.allows(pod, src):
            await self._refuse(client, flow, "401 Unauthorized", lines.NOT_ALLOWED)
            return
        try:
            server = await self._reach(pod, port, src_addr, client)
        except OSError as error:
            await self._refuse(client, flow, "503 Service Unavailable", f"connection failed: {_words(error)}")
            return
        client.writer.write(_OK)
        await self._join(client, server, [flow])

    async def _refuse(self, client: Conn, flow: Connection, status: str, error: str) -> None:
        flow.error = error
        with contextlib.suppress(OSError):
            client.writer.write(f"{status}\n".encode())
            await client.close()
        self.observer.closed(flow)

    async def _plain(
        self, client: Conn, src: MeshWorkload | None, route: RoutingDecision, flows: list[Connection]
    ) -> None:
        """Without HBONE: by kube-proxy, or by the source's ztunnel to a pod that is not enrolled."""
        if route.to.enrolled:
            if not self.up(route.to):
                await client.refuse()
                return
            called = route.service.hostname if route.service else None
            service = self.state.inbound_service(route.to, route.port, called)
            at = f"{route.to.ip}:{route.port}"
            flows.append(Connection("inbound", route.to, client.peer, src, at, route.to, service=service))
        for flow in flows:
            self.observer.opened(flow)
        error = lines.NOT_ALLOWED if route.to.enrolled and not self.state.allows(route.to, None) else ""
        try:
            server = None if error else await self._reach(route.to, route.port, client.peer, client)
        except OSError as failed:
            server, error = None, f"connection failed: {_words(failed)}"
        if server:
            await self._join(client, server, flows)
            return
        await client.refuse()
        for flow in flows:
            flow.error = error
            self.observer.closed(flow)

    async def _reach(self, pod: MeshWorkload, port: int, src_addr: str, client: Conn) -> Conn:
        """Opens the pod's app, from the caller's address; Envoy receives the address that was dialled (PROXY)."""
        source_ip = client.peer.rpartition(":")[0]
        server = await dial(source_ip, (hidden(pod.ip), port))
        if is_proxy(pod) and port not in _OWN_PORTS:
            src_ip, _, src_port = src_addr.rpartition(":")
            server.writer.write(f"PROXY TCP4 {src_ip} {pod.ip} {src_port} {port}\r\n".encode())
        return server

    async def _join(self, client: Conn, server: Conn, flows: list[Connection]) -> None:
        def count(up: int, down: int) -> None:
            for flow in flows:
                outbound = flow.direction == "outbound"
                flow.sent += up if outbound else down
                flow.received += down if outbound else up

        try:
            await splice(client, server, count)
        except OSError as error:
            for flow in flows:
                flow.error = _words(error)
        except asyncio.CancelledError:  # ztunnel was killed: it writes nothing any more
            flows.clear()
            raise
        finally:
            for flow in flows:
                self.observer.closed(flow)


def is_proxy(workload: MeshWorkload) -> bool:
    """Whether the pod is one of Envoy Gateway's proxies (its labels say so)."""
    labels = workload.labels
    return (
        labels.get("app.kubernetes.io/managed-by") == "envoy-gateway"
        and labels.get("app.kubernetes.io/component") == "proxy"
    )


def _words(error: OSError) -> str:
    """An error as ztunnel (Rust) words it."""
    if error.errno is None:
        return str(error)
    if isinstance(error, ConnectionResetError):
        return lines.RESET
    if isinstance(error, ConnectionRefusedError):
        return f"io error: Connection refused (os error {error.errno})"
    return f"io error: {error.strerror} (os error {error.errno})"
