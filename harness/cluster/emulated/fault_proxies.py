"""What can be broken of Envoys and of pods."""

from __future__ import annotations

import asyncio
import functools
import itertools

from aiohttp import web

from harness.cluster.emulated.container_programs import BookinfoProgram
from harness.cluster.emulated.fault_base import Base, later
from harness.cluster.emulated.http_pages import Pages
from harness.cluster.emulated.network.addresses import hidden


class ProxyFaults(Base):
    """Switches of Envoys, and of the apps' pods."""

    async def fault_proxy_restarts(self, gateway: str, after: float = 0.0, away: float = 0.0) -> None:
        """The Gateway's Envoy is killed, `after` seconds from now, and begins again, `away` seconds later."""
        envoy = self._envoy(gateway)

        async def restart() -> None:
            await asyncio.sleep(float(after))
            await envoy.restart(float(away))
            self.world.kubelet.restarted(envoy.run.uid, "envoy")

        task = self._task(restart())
        if not after:
            await task

    async def fault_sent_again(self, gateway: str, every: float = 0.02) -> None:
        """The Gateway's Envoy is sent its listeners again `every` so many seconds, though nothing changed."""
        envoy = self._envoy(gateway)

        async def send() -> None:
            for number in itertools.count():
                await self._sent(envoy, f"again-{number}")
                await asyncio.sleep(float(every))

        self._task(send())

    # -- pods ---------------------------------------------------------------------------------------------------

    async def fault_backend_answers(
        self,
        workload: str = "ratings-v1",
        status: int = 503,
        seconds: float = 0,
        headers: dict[str, str] | None = None,
        every: int = 1,
    ) -> None:
        """The app behind the workload answers everything with this status and these headers, after so long: not Envoy's
        refusal. `every` 2: every other request, the first one with 200."""
        asked = itertools.count(1)

        async def refuse(_: web.Request) -> web.Response:
            await asyncio.sleep(float(seconds))
            answered = 200 if next(asked) % int(every) else int(status)
            return web.Response(status=answered, headers=headers, text="the app itself answers so\n")

        if "backend_answers" in self.on:
            raise ValueError("an app answers so already")
        for uid, one in list(self.world.around.apps.items()):
            if one.name.startswith(f"{workload}-"):
                run = self.world.kubelet.runs[uid]
                await one.app.stop()
                stub = Pages(hidden(run.ip), {9080: refuse})
                await stub.start()
                self._undo.append(functools.partial(self._back, uid, one, stub))

    async def _back(self, uid: str, one: BookinfoProgram, stub: Pages) -> None:
        """The app serves again, if its pod is still there."""
        await stub.stop()
        if self.world.around.apps.get(uid) is one:
            await one.app.start()

    async def fault_slow_answers_take(self, seconds: float) -> None:
        """v-delayed answers after this long instead of 7 s (or as quickly as ever: 0)."""
        for one in self.world.around.apps.values():
            self._undo.append(later(setattr, one.app, "slow_seconds", one.app.slow_seconds))
            one.app.slow_seconds = float(seconds)

    async def fault_log_says(self, workload: str, line: str) -> None:
        """The workload's pods write this line."""
        for run in self.world.kubelet.runs.values():
            for log in run.logs.values() if run.name.startswith(f"{workload}-") else ():
                log.write(line)
