"""The emulated ztunnel of every node, and kube-proxy: workloads by address, and logs by node.

Lines as in logs/ztunnel.log and eg-1.9.0/ztunnel-port-15008-clash.log, dump as in admin/ztunnel-config_dump.json, all
in tests/recordings.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from harness.cluster.emulated.network import ztunnel_access_line as lines
from harness.cluster.emulated.network import ztunnel_pages as pages
from harness.cluster.emulated.network.addresses import door
from harness.cluster.emulated.network.connection_forwarding import Carrier
from harness.cluster.emulated.network.connection_target import MeshState, node_port_table
from harness.cluster.emulated.network.model import HBONE_PORT, Allow, Json, MeshWorkload, ServiceEntry
from harness.cluster.emulated.network.splice import Conn
from harness.cluster.emulated.network.ztunnel_access_line import Connection
from harness.errors import SetupFailed

_RETRY = 5.0  # seconds between two tries to start a pod's proxy, as recorded
_BACKLOG = 512


@dataclass(slots=True)
class ZtunnelFaults:
    """What can be broken at run time; all off at first. Names are of pods, their Deployments, or Services."""

    plaintext_to: set[str] = field(default_factory=set)  # calls to these go without HBONE ("*": all)
    bypass_waypoint: set[str] = field(default_factory=set)  # Services whose calls go past their waypoint ("*": all)
    not_ready: set[str] = field(default_factory=set)  # nodes whose ztunnel says not ready


@dataclass(slots=True)
class _Node:
    """One ztunnel pod: the proxies it runs, by pod IP, and the pods whose proxy does not start."""

    running: bool = False
    settled: bool = False  # every pod of the first snapshot had its proxy: readiness
    proxies: dict[str, asyncio.Server] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)  # pod uids
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # one per connection of a pod here
    retry: asyncio.Task[None] | None = None
    books: pages.Books = field(default_factory=lambda: pages.Books())


class Ztunnel:
    """Holds <pod IP>:port, <VIP>:port, <node IP>:nodePort, and <pod IP>:15008 of enrolled pods on live nodes.

    Put a pod here (`set_workloads`) before its Envoy receives anything: who binds port 15008 first, has it.
    """

    def __init__(self, log: Callable[[str, str], None], *, nodes: dict[str, str], delay_factor: float = 30) -> None:
        """`log(node, line)` gets each line as the pod's log has it; `nodes` maps node names to their IPs."""
        self.faults = ZtunnelFaults()
        self._log = log
        self._node_ips = dict(nodes)
        self._retry_after = _RETRY / delay_factor
        self._state = MeshState()
        self._nodes = {name: _Node() for name in nodes}
        self._listeners: dict[tuple[str, int], asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # one per connection
        self._carrier = Carrier(
            self._state, self, self._up, lambda: self.faults.plaintext_to, lambda: self.faults.bypass_waypoint
        )
        self._lock = asyncio.Lock()

    async def set_workloads(self, workloads: Iterable[MeshWorkload]) -> None:
        """All pods that there are. Listeners follow: new ones are bound when this returns, stale ones closed."""
        async with self._lock:
            self._state.workloads = {w.ip: w for w in workloads}
            await self._follow()

    def age(self, by: timedelta) -> None:
        """The certificates of every node are so much older."""
        for node in self._nodes.values():
            node.books.began -= by

    async def set_services(self, services: Iterable[ServiceEntry]) -> None:
        """All Services that there are."""
        async with self._lock:
            entries = list(services)
            self._state.services = {s.vip: s for s in entries}
            self._state.node_ports = node_port_table(entries, self._node_ips)
            await self._follow()

    def set_policies(self, policies: Iterable[Allow]) -> None:
        """All policies that there are. They meet connections from now on; those that are open stay."""
        self._state.policies = tuple(policies)

    async def start(self, node: str) -> None:
        """ztunnel's pod on this node begins: captures that node's enrolled pods (15008 of each)."""
        async with self._lock:
            here = self._nodes[node]
            if here.running:
                return
            here.running, here.settled, here.books = True, False, pages.Books()
            self._write(node, lines.line("info", "inpod::workloadmanager", "handling new stream"))
            await self._capture(node)
            self._write(node, lines.line("info", "inpod::statemanager", "received snapshot sent"))

    async def kill(self, node: str) -> None:
        """It dies without grace: its listeners and connections are gone, enrolled pods there are cut off."""
        async with self._lock:
            here = self._nodes[node]
            here.running = here.settled = False
            here.failing.clear()
            if here.retry:
                here.retry.cancel()
                here.retry = None
            for server in here.proxies.values():
                server.close()
            here.proxies.clear()
            await _cancel(here.tasks)

    def ready(self, node: str) -> bool:
        """What its readiness probe says: not before every pod of its node had its proxy."""
        here = self._nodes[node]
        return here.running and here.settled and node not in self.faults.not_ready

    def detour(self, on: bool) -> None:
        """A fault: calls to a pod's own address take the waypoint of its Service, or (off) no longer."""
        self._state.detour = on

    def config_dump(self, node: str) -> Json:
        """/config_dump of that node's ztunnel."""
        here = self._nodes[node]
        return pages.config_dump(
            self._state,
            node,
            captured=set(here.proxies),
            books=here.books,
        )

    async def close(self) -> None:
        """Ends everything."""
        for node in self._nodes:
            await self.kill(node)
        for server in self._listeners.values():
            server.close()
        self._listeners.clear()
        await _cancel(self._tasks)

    # What the carrier reports (carrier.Observer)

    def opened(self, flow: Connection) -> None:
        self._nodes[flow.workload.node].books.open.append(flow)

    def closed(self, flow: Connection) -> None:
        self._nodes[flow.workload.node].books.open.remove(flow)
        self._write(flow.workload.node, lines.complete(flow, lines.now()))

    def failed(self, workload: MeshWorkload, src: str, dst: str, error: str) -> None:
        self._write(workload.node, lines.failed(src, dst, "outbound", error))

    def _write(self, node: str, line: str) -> None:
        self._log(node, line)

    def _up(self, workload: MeshWorkload) -> bool:
        node = self._nodes.get(workload.node)
        return node is not None and workload.ip in node.proxies

    async def _follow(self) -> None:
        wanted = set(self._state.addresses())
        for address in self._listeners.keys() - wanted:
            self._listeners.pop(address).close()
        for ip, port in sorted(wanted - self._listeners.keys()):
            try:
                server = await asyncio.start_server(self._accepted, ip, door(port), backlog=_BACKLOG)
            except OSError as error:
                raise SetupFailed(f"the emulated network cannot listen on {ip}:{port}: {error}") from error
            self._listeners[ip, port] = server
        for node in self._nodes:
            await self._capture(node)

    async def _capture(self, node: str) -> None:
        """Starts the proxies of a live node's newly enrolled pods, ends those of pods that are gone."""
        here = self._nodes[node]
        if not here.running:
            return
        pods = {w.ip: w for w in self._state.workloads.values() if w.enrolled and w.node == node}
        for ip in here.proxies.keys() - pods.keys():
            here.proxies.pop(ip).close()
        here.failing &= {w.uid for w in pods.values()}
        for pod in pods.values():
            if pod.ip not in here.proxies and pod.uid not in here.failing:
                head = f'uid="{pod.uid}" name="{pod.name}" namespace="{pod.namespace}"'
                self._write(node, lines.line("info", "inpod::statemanager", "pod received, starting proxy", head))
                if not await self._start_proxy(node, pod):
                    self._fail(node, pod)
        self._settle(node)

    async def _start_proxy(self, node: str, pod: MeshWorkload) -> bool:
        """Whether port 15008 of the pod was still free."""
        here = self._nodes[node]

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = Conn(reader, writer)
            await self._tracked(client, {node}, self._carrier.inbound(client, pod))

        try:
            here.proxies[pod.ip] = await asyncio.start_server(accepted, pod.ip, HBONE_PORT, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        self._write(
            node,
            lines.line("info", "dns::server", "starting local DNS server", 'address=localhost:15053 component="dns"'),
        )
        for scope, port, component in (
            ("inbound", HBONE_PORT, "inbound"),
            ("inbound_passthrough", 15006, "inbound plaintext"),
            ("outbound", 15001, "outbound"),
        ):
            fields = f'address=[::]:{port} component="{component}" transparent=true'
            self._write(node, lines.line("info", f"proxy::{scope}", "listener established", fields))
        return True

    def _fail(self, node: str, pod: MeshWorkload) -> None:
        here = self._nodes[node]
        here.failing.add(pod.uid)
        rust = 'Bind([::]:15008, Os { code: 98, kind: AddrInUse, message: "Address already in use" })'
        self._write(
            node, lines.line("error", "inpod::workloadmanager", f"failed to start proxy: {rust}", f"uid={pod.uid}")
        )
        self._schedule(node, pod)
        if here.retry is None:
            here.retry = asyncio.create_task(self._retrying(node))

    def _schedule(self, node: str, pod: MeshWorkload) -> None:
        self._write(node, lines.line("info", "inpod::workloadmanager", "scheduling retry", f'uids=["{pod.uid}"]'))

    async def _retrying(self, node: str) -> None:
        here = self._nodes[node]
        while here.failing:
            await asyncio.sleep(self._retry_after)
            async with self._lock:
                for pod in [w for w in self._state.workloads.values() if w.uid in here.failing]:
                    uid = f'uid="{pod.uid}"'
                    self._write(node, lines.line("info", "inpod::statemanager", "retrying workload", uid))
                    if not await self._start_proxy(node, pod):
                        why = "retrying workload failed: failed to bind to address [::]:15008: Address already in use"
                        self._write(node, lines.line("info", "inpod::statemanager", f"{why} (os error 98)", uid))
                        self._schedule(node, pod)
                    else:
                        here.failing.discard(pod.uid)
        self._settle(node)
        here.retry = None

    def _settle(self, node: str) -> None:
        here = self._nodes[node]
        if here.running and not here.failing and not here.settled:
            here.settled = True
            done = "Task 'workload proxy manager' complete (1.381622931s), marking server ready"
            self._write(node, lines.line("info", "readiness", done))

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Conn(reader, writer)
        ends = (client.peer.rpartition(":")[0], client.local.rpartition(":")[0])
        nodes = {w.node for ip in ends if (w := self._state.workloads.get(ip)) and w.enrolled}
        await self._tracked(client, nodes, self._carrier.accept(client))

    async def _tracked(self, client: Conn, nodes: set[str], carrying: Coroutine[None, None, None]) -> None:
        """Carries a connection that ends at once, without a word, when one of these nodes' ztunnel is killed."""
        task = asyncio.current_task()
        assert task is not None
        books = [self._tasks, *(self._nodes[node].tasks for node in nodes if node in self._nodes)]
        for tasks in books:
            tasks.add(task)
        try:
            await carrying
        except asyncio.CancelledError:
            client.reset()
        finally:
            for tasks in books:
                tasks.discard(task)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
