"""The emulated kubelet of all nodes: starts containers, probes them, writes pod statuses, keeps logs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from harness.cluster.emulated.api.errors import bad
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.store import Store, now
from harness.cluster.emulated.api.streams import Line
from harness.cluster.emulated.controllers import pod_states
from harness.errors import HarnessError

_LINES = 50_000  # kept of each container
_LOOK, _SETTLED = 0.05, 0.5  # seconds between looks at a pod that is not, or is, ready
_BACK_OFF = 0.5  # seconds until a container that failed is started again
_log = logging.getLogger(__name__)


class ContainerProgram(Protocol):
    """What a container runs."""

    async def start(self) -> None:
        """Begins it.

        Raises:
            HarnessError: it cannot run now; it is tried again.
        """

    async def ready(self) -> bool:
        """What the readiness probe says.

        Raises:
            HarnessError: it has ended; it is started again.
        """
        return True

    async def stop(self, *, grace: bool) -> None: ...


class Log:
    """The lines of one container, and those of its life before."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.previous: list[Line] | None = None

    def write(self, text: str) -> None:
        self.lines.append(Line(datetime.now(UTC), text))
        if len(self.lines) > _LINES:
            del self.lines[: _LINES // 10]

    def rotate(self) -> None:
        self.previous, self.lines = self.lines, []


@dataclass
class PodRun:
    """One pod on its node."""

    uid: str
    namespace: str
    name: str
    node: str
    ip: str
    host: str
    logs: dict[str, Log]
    programs: dict[str, ContainerProgram] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    started: str = ""
    task: asyncio.Task[None] | None = None
    ending: bool = False


Programs = Callable[[Object, PodRun], dict[str, ContainerProgram]]  # by container; one that is left out runs idle


class Kubelet:
    """`hosts` maps node names to addresses. `pullable` says why an image cannot be had, or an empty string."""

    def __init__(
        self,
        store: Store,
        programs: Programs,
        *,
        address: Callable[[], str],
        hosts: dict[str, str],
        pullable: Callable[[str], str],
    ) -> None:
        self.store, self._programs, self._address, self._hosts, self._pullable = (
            store,
            programs,
            address,
            hosts,
            pullable,
        )
        self.runs: dict[str, PodRun] = {}
        self._ends: set[asyncio.Task[None]] = set()

    def sync(self) -> None:
        """Starts and ends what the pods in the store ask for."""
        wanted = {pod["metadata"]["uid"]: pod for pod in self.store.all("pods") if pod["spec"].get("nodeName")}
        for uid, run in list(self.runs.items()):
            gone = uid not in wanted
            if (gone or "deletionTimestamp" in wanted[uid]["metadata"]) and not run.ending:
                run.ending = True
                self._finish(run, grace=not gone)
        for uid, pod in wanted.items():
            if uid in self.runs:
                continue
            if "deletionTimestamp" in pod["metadata"]:
                self.store.finish(self.store.named("Pod"), pod)
            else:
                self._begin(uid, pod)

    def of(self, pod: Object) -> PodRun | None:
        return self.runs.get(pod["metadata"]["uid"])

    def log(self, pod: Object, container: str, *, previous: bool) -> Sequence[Line]:
        """The lines of a container.

        Raises:
            ApiError: 400, it has not started, or has no earlier life.
        """
        run, name = self.of(pod), pod["metadata"]["name"]
        log = run.logs.get(container) if run and run.started else None
        if log is None:
            raise bad(f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating')
        if previous and log.previous is None:
            raise bad(f'previous terminated container "{container}" in pod "{name}" not found')
        return log.previous or () if previous else log.lines

    def moving(self) -> list[str]:
        """The pods ("namespace/name") that do not run as the store has them yet: beginning, ending, or not ready."""
        pods_ = self.store.all("pods")
        uids = {pod["metadata"]["uid"] for pod in pods_ if pod_states.ready(pod)}
        found = {f"{one.namespace}/{one.name}" for uid, one in self.runs.items() if one.ending or uid not in uids}
        for pod in pods_:
            if pod["metadata"]["uid"] not in self.runs:
                found.add(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
        return sorted(found)

    async def close(self) -> None:
        """Ends everything."""
        for run in list(self.runs.values()):
            if not run.ending:
                run.ending = True
                self._finish(run, grace=True)
        while self._ends:
            await asyncio.gather(*self._ends, return_exceptions=True)

    def restarted(self, uid: str, container: str) -> None:
        """Counts a restart that was done from outside, and shows it."""
        run = self.runs[uid]
        run.restarts[container] = run.restarts.get(container, 0) + 1
        run.started = now()
        self._write(
            run, lambda pod, counts: pod_states.running(pod, run.host, run.ip, run.started, counts, is_ready=True)
        )

    def _begin(self, uid: str, pod: Object) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        run = PodRun(
            uid,
            meta["namespace"],
            meta["name"],
            spec["nodeName"],
            (pod.get("status") or {}).get("podIP") or self._address(),
            self._hosts[spec["nodeName"]],
            {one["name"]: Log() for one in spec["containers"]},
        )
        self.runs[uid] = run
        self._write(run, lambda pod, _: pod_states.creating(pod, run.host))
        run.task = asyncio.create_task(self._live(run, pod), name=f"pod {run.namespace}/{run.name}")

    def _finish(self, run: PodRun, *, grace: bool) -> None:
        task = asyncio.create_task(self._end(run, grace=grace), name=f"end {run.namespace}/{run.name}")
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _live(self, run: PodRun, pod: Object) -> None:
        try:
            await self._pull(run, pod)
            run.programs = self._programs(pod, run)
            for container, program in run.programs.items():
                await self._start(run, container, program)
            await self._watch(run)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001  # logged, where `gather` finds it: one pod must not end the cluster
            _log.exception("pod %s/%s", run.namespace, run.name)

    async def _pull(self, run: PodRun, pod: Object) -> None:
        for container in pod["spec"]["containers"]:
            while why := self._pullable(container["image"]):
                state = ("ImagePullBackOff", why)
                name = container["name"]
                self._write(
                    run,
                    lambda pod, counts: pod_states.waiting(pod, run.host, run.ip, name, state, counts),  # noqa: B023  # called at once
                )
                await asyncio.sleep(_BACK_OFF)

    async def _start(self, run: PodRun, container: str, program: ContainerProgram) -> None:
        while True:
            try:
                await program.start()
            except HarnessError as error:
                first = run.restarts.get(container, 0) == 0
                run.restarts[container] = run.restarts.get(container, 0) + 1
                run.logs[container].write(str(error))
                why = f"back-off 10s restarting failed container={container} pod={run.name}_{run.namespace}({run.uid})"
                if not first:  # the first failure is not shown: what it needs may be starting beside it
                    state = ("CrashLoopBackOff", why)
                    self._write(
                        run,
                        lambda pod, counts: pod_states.waiting(pod, run.host, run.ip, container, state, counts),  # noqa: B023  # called at once
                    )
                await asyncio.sleep(_BACK_OFF)
            else:
                return

    async def _watch(self, run: PodRun) -> None:
        run.started, shown = now(), None
        while True:
            ready = True
            for container, program in run.programs.items():
                try:
                    ready = await program.ready() and ready
                except HarnessError as error:
                    ready = False
                    run.logs[container].write(str(error))
                    run.logs[container].rotate()
                    run.restarts[container] = run.restarts.get(container, 0) + 1
                    await self._start(run, container, program)
            if ready != shown:
                shown = ready
                self._write(
                    run,
                    lambda pod, counts: pod_states.running(pod, run.host, run.ip, run.started, counts, is_ready=ready),  # noqa: B023  # called at once
                )
            await asyncio.sleep(_SETTLED if ready else _LOOK)

    async def _end(self, run: PodRun, *, grace: bool) -> None:
        if run.task:
            run.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run.task
        for program in run.programs.values():
            try:
                await program.stop(grace=grace)
            except Exception:  # noqa: BLE001  # logged; the pod goes all the same
                _log.exception("ending pod %s/%s", run.namespace, run.name)
        self.runs.pop(run.uid, None)
        live = self.store.find("pods", run.namespace, run.name)
        if live and live["metadata"]["uid"] == run.uid and "deletionTimestamp" in live["metadata"]:
            self.store.finish(self.store.named("Pod"), live)
        else:
            self.store.changed()

    def _write(self, run: PodRun, status: Callable[[Object, list[int]], Object]) -> None:
        live = self.store.find("pods", run.namespace, run.name)
        if live and live["metadata"]["uid"] == run.uid:
            live = live | {"status": live.get("status") or {}}
            counts = [run.restarts.get(one["name"], 0) for one in live["spec"]["containers"]]
            self.store.update(self.store.named("Pod"), live | {"status": status(live, counts)}, status=True)
