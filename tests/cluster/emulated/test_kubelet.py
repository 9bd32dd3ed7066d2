"""What the kubelet says of pods that do not run as the store has them."""

from __future__ import annotations

import asyncio

from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.initial_objects import create_initial_objects
from harness.cluster.emulated.kubelet import ContainerProgram, Kubelet, PodRun
from tests.patience import SOON

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one", "namespace": "default"},
    "spec": {"nodeName": "worker", "containers": [{"name": "app", "image": "app"}]},
}


class Slow(ContainerProgram):
    """A program that is ready, and ends, when it is reported to."""

    def __init__(self) -> None:
        self.may_be_ready, self.may_end = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        """Begins at once."""

    async def ready(self) -> bool:
        return self.may_be_ready.is_set()

    async def stop(self, *, grace: bool) -> None:
        await self.may_end.wait()


async def still(kubelet: Kubelet) -> None:
    """Returns when nothing moves."""
    async with asyncio.timeout(SOON):
        while kubelet.moving():
            kubelet.sync()
            await asyncio.sleep(0.01)


def test_pod_moves_until_it_runs_and_until_it_has_ended() -> None:
    """Begun but not ready, or ended but not gone: both are moving, whatever a status says."""

    async def live() -> None:
        store, program = Store(), Slow()
        create_initial_objects(store, {"worker": "127.0.0.1"}, "1.34.4")

        def programs(_pod: Object, _run: PodRun) -> dict[str, ContainerProgram]:
            return {"app": program}

        kubelet = Kubelet(
            store, programs, address=lambda: "127.0.0.9", hosts={"worker": "127.0.0.1"}, pullable=lambda *_: ""
        )
        kind = store.named("Pod")
        store.create(kind, POD)
        assert kubelet.moving() == ["default/one"]  # nobody has begun it

        kubelet.sync()
        await asyncio.sleep(0.1)
        assert kubelet.moving() == ["default/one"]

        program.may_be_ready.set()
        await still(kubelet)
        snapshot = store.snapshot()

        store.delete(kind, "default", "one", grace=0)
        kubelet.sync()
        store.restore(snapshot)  # Ready by its status, while the old life of the same pod still ends
        kubelet.sync()
        await asyncio.sleep(0.05)
        assert kubelet.moving() == ["default/one"]

        program.may_end.set()
        await still(kubelet)
        await kubelet.close()

    asyncio.run(live())
