"""Selects what runs in an emulated container by its image: a real process, an emulated server, or nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.controllers.envoy_gateway import OWNER
from harness.cluster.emulated.http_pages import Page, Pages, at
from harness.cluster.emulated.kubelet import ContainerProgram, PodRun
from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.bookinfo import App
from harness.cluster.emulated.network.envoy import EnvoyProcess
from harness.cluster.emulated.network.rate_limit_service import EmulatedRateLimitService
from harness.cluster.emulated.network.redis_process import RedisProcess
from harness.cluster.emulated.network.ztunnel import Ztunnel
from harness.errors import SetupFailed

_ROLE = re.compile(r"(?:^|/)([^/:@]+)(?::[^/]*)?(?:@.*)?$")
_BOOKINFO = "examples-bookinfo-"


def role(image: str) -> str:
    """The last part of an image's name, without its tag: `redis` of docker.io/library/redis:6.0.6."""
    found = _ROLE.search(image)
    return found[1] if found else image


@dataclass
class Surroundings:
    """What programs need of the world."""

    directory: Path
    ztunnel: Ztunnel
    resolve: Callable[[str, str], str]  # a host as a pod of that namespace means it; KeyError: no such name
    wake: Callable[[], None]
    limiter_store: Callable[[], str]  # "host:port" of the rate limit service's Redis
    texts: Callable[[str], str]  # the metrics page of istiod or Envoy Gateway
    delay_factor: float
    envoys: dict[tuple[str, str], EnvoyProgram] = field(default_factory=dict)
    limiters: dict[str, RateLimitProgram] = field(default_factory=dict)
    apps: dict[str, BookinfoProgram] = field(default_factory=dict)

    def programs(self, pod: Object, run: PodRun) -> dict[str, ContainerProgram]:
        """The programs of a pod's containers; those left out (curl, fortio, shutdown-manager, cni) run idle."""
        found: dict[str, ContainerProgram] = {}
        for container in pod["spec"]["containers"]:
            name, image = container["name"], role(container["image"])
            log = run.logs[name].write
            if image.startswith(_BOOKINFO):
                given = {one["name"]: one.get("value", "") for one in container.get("env") or ()}
                env = {"HOSTNAME": pod["metadata"]["name"]} | given
                found[name] = BookinfoProgram(self, run, image.removeprefix(_BOOKINFO), env, log)
            elif image == "envoy":
                gateway = (run.namespace, pod["metadata"]["labels"][OWNER])
                found[name] = EnvoyProgram(self, run, gateway, log, container.get("args") or [])
            elif image == "redis":
                found[name] = RedisProgram(self, run, log)
            elif image == "ratelimit":
                found[name] = RateLimitProgram(self, run, log)
            elif image == "ztunnel":
                found[name] = ZtunnelProgram(self, run)
            elif image in ("pilot", "gateway") and name != "shutdown-manager":
                port = 15014 if image == "pilot" else 19001
                found[name] = MetricsProgram(run, {port: at({"/metrics": lambda image=image: self.texts(image)})})  # type: ignore[misc]  # the default binds the loop's value
        return found


class MetricsProgram(ContainerProgram):
    """A control plane whose work is the controllers': its admin pages alone."""

    def __init__(self, run: PodRun, pages: dict[int, Page]) -> None:
        self._pages = Pages(hidden(run.ip), pages)

    async def start(self) -> None:
        await self._pages.start()

    async def stop(self, *, grace: bool) -> None:  # noqa: ARG002  # the protocol's
        await self._pages.stop()


class BookinfoProgram(ContainerProgram):
    """One Bookinfo app."""

    def __init__(
        self, world: Surroundings, run: PodRun, app: str, env: dict[str, str], log: Callable[[str], None]
    ) -> None:
        self._world, self._uid, self.name = world, run.uid, run.name
        self.app = App(
            app,
            run.ip,
            resolve=lambda host: world.resolve(host, run.namespace),
            log=log,
            env=env,
            delay_factor=world.delay_factor,
        )

    async def start(self) -> None:
        await self.app.start()
        self._world.apps[self._uid] = self

    async def stop(self, *, grace: bool) -> None:  # noqa: ARG002  # the protocol's
        self._world.apps.pop(self._uid, None)
        await self.app.stop()


class RedisProgram(ContainerProgram):
    """The real server."""

    def __init__(self, world: Surroundings, run: PodRun, log: Callable[[str], None]) -> None:
        self._process = RedisProcess(run.ip, world.directory / run.name, log=log)
        self._at = hidden(run.ip)

    async def start(self) -> None:
        await self._process.start()

    async def stop(self, *, grace: bool) -> None:  # noqa: ARG002  # the protocol's
        await self._process.stop()

    async def flush(self) -> None:
        """Forgets all that was counted."""
        reader, writer = await asyncio.open_connection(self._at, 6379)
        writer.write(b"FLUSHALL\r\n")
        await reader.readline()
        writer.close()


class RateLimitProgram(ContainerProgram):
    """envoy-ratelimit: like the real one it cannot run without its Redis."""

    def __init__(self, world: Surroundings, run: PodRun, log: Callable[[str], None]) -> None:
        self._world, self._run, self._log = world, run, log
        self.limiter: EmulatedRateLimitService | None = None
        self.down = False  # a fault: nothing answers, and no status says so

    async def start(self) -> None:
        host, _, port = self._world.limiter_store().rpartition(":")
        try:
            address = self._world.resolve(host, self._run.namespace)
            _, writer = await asyncio.wait_for(
                asyncio.open_connection(address, int(port), local_addr=(self._run.ip, 0)), 2
            )
            writer.close()
        except (KeyError, OSError, TimeoutError) as error:
            raise SetupFailed(f"rate limit service: Redis at {host}:{port} does not answer: {error}") from error
        self.limiter = EmulatedRateLimitService(self._run.ip, redis=(address, int(port)), log=self._log)
        await self.limiter.start()
        self._world.limiters[self._run.uid] = self
        self._world.wake()

    async def fail(self, down: bool) -> None:
        """Takes it down, or up again, behind its pod's back."""
        if self.limiter and down != self.down:
            self.down = down
            await (self.limiter.stop() if down else self.limiter.start())

    async def stop(self, *, grace: bool) -> None:  # noqa: ARG002  # the protocol's
        self._world.limiters.pop(self._run.uid, None)
        if self.limiter and not self.down:
            await self.limiter.stop()


class EnvoyProgram(ContainerProgram):
    """A Gateway's proxy: a real Envoy."""

    def __init__(
        self,
        world: Surroundings,
        run: PodRun,
        gateway: tuple[str, str],
        log: Callable[[str], None],
        arguments: Sequence[str],
    ) -> None:
        """`arguments` are the container's: of them `--file-flush-interval-msec` is carried out."""
        self._world, self.run, self.gateway = world, run, gateway
        flush = _value(arguments, "--file-flush-interval-msec")
        self.process = EnvoyProcess(
            run.ip,
            run.name,
            world.directory / run.name,
            cluster="/".join(gateway),
            log=log,
            delay_factor=world.delay_factor,
            flush_interval=int(flush) / 1000 if flush else None,
        )
        self._live = False
        self._restarting = False

    async def start(self) -> None:
        await self.process.start()
        self._world.envoys[self.gateway] = self
        self._world.wake()

    async def ready(self) -> bool:
        if self._restarting:
            return False
        if not self.process.running:
            await self.process.stop()
            raise SetupFailed(f"Envoy of Gateway {'/'.join(self.gateway)} has ended")
        self._live = self._live or await self.process.ready()
        return self._live

    async def restart(self, away: float = 0.0) -> None:
        """Ends the process without grace and begins it again, `away` seconds later."""
        self._restarting, self._live = True, False
        try:
            await self.process.restart(away)
        finally:
            self._restarting = False

    async def stop(self, *, grace: bool) -> None:
        if self._world.envoys.get(self.gateway) is self:
            del self._world.envoys[self.gateway]
        await (self.process.stop() if grace else self.process.stop(0))


def _value(arguments: Sequence[str], name: str) -> str:
    """The value that follows the last `name` of a command line, or an empty string."""
    found = [value for option, value in itertools.pairwise(arguments) if option == name]
    return found[-1] if found else ""


class ZtunnelProgram(ContainerProgram):
    """One node's ztunnel."""

    def __init__(self, world: Surroundings, run: PodRun) -> None:
        self._ztunnel, self._node = world.ztunnel, run.node
        dump = {"/config_dump": lambda: json.dumps(self._ztunnel.config_dump(self._node))}
        self._pages = Pages(hidden(run.ip), {15000: at(dump)})

    async def start(self) -> None:
        await self._pages.start()
        await self._ztunnel.start(self._node)

    async def ready(self) -> bool:
        return self._ztunnel.ready(self._node)

    async def stop(self, *, grace: bool) -> None:  # noqa: ARG002  # the protocol's
        await self._ztunnel.kill(self._node)
        await self._pages.stop()
