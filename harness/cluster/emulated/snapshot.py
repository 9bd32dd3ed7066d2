"""Saves the state of the whole emulated cluster, and resets the cluster to it within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from harness.cluster.emulated.api.errors import ApiError
from harness.cluster.emulated.api.store import Snapshot, Store
from harness.cluster.emulated.kubelet import Kubelet
from harness.cluster.emulated.programs_by_image import RedisProgram

_STILL = 120.0  # seconds until what was begun runs, and what was ended is gone: more than 10 at a load of 19


class SavedState:
    """`wake` has controllers and network look again, `settled` returns when they have."""

    def __init__(
        self, store: Store, kubelet: Kubelet, wake: Callable[[], None], settled: Callable[[], Awaitable[None]]
    ) -> None:
        self._store, self._kubelet, self._wake, self._settled = store, kubelet, wake, settled
        self._snapshot: Snapshot | None = None

    async def mark(self) -> None:
        """Makes the present state the one that `reset` goes back to, once nothing moves in it.

        Raises:
            ApiError: 504, some pod does not run in 120 s.
        """
        await self.still()
        self._snapshot = self._store.snapshot()

    async def reset(self) -> None:
        """Back to the marked state: objects, programs, logs and counted requests. Pods that stayed are left running.

        Raises:
            ApiError: 409, no state was marked; 504, some pod does not run in 120 s.
        """
        if self._snapshot is None:
            raise ApiError(409, "Conflict", "nothing to go back to: POST /emulated/mark first")
        self._store.restore(self._snapshot)
        await self.still()
        for run in self._kubelet.runs.values():
            for log in run.logs.values():
                log.lines.clear()
        await self.forget_counts()

    async def still(self) -> None:
        """Returns when every pod runs as the store has it, what was ended has ended, and the network is up to date.

        A status alone does not say so: those that a restored snapshot brings are of before.

        Raises:
            ApiError: 504, some pod does not in 120 s.
        """
        self._wake()
        try:
            async with asyncio.timeout(_STILL):
                await self._settled()
                while self._kubelet.moving():
                    await asyncio.sleep(0.02)
                    await self._settled()
        except TimeoutError:
            moving = ", ".join(self._kubelet.moving()) or "controllers"
            raise ApiError(504, "Timeout", f"still moving after {_STILL:g}s: {moving}") from None

    async def forget_counts(self) -> None:
        """Empties Redis where it runs: one that begins is empty, one that ends does not answer."""
        for run in list(self._kubelet.runs.values()):
            for program in run.programs.values() if run.started and not run.ending else ():
                if isinstance(program, RedisProgram):
                    await program.flush()
