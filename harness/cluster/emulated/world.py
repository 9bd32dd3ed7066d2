"""The emulated cluster as a whole: the object store, the controllers and the network."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import version_differences
from harness.cluster.emulated import install
from harness.cluster.emulated.api.errors import ApiError, bad
from harness.cluster.emulated.api.kinds import Object
from harness.cluster.emulated.api.object_writes import Admission
from harness.cluster.emulated.api.store import Store
from harness.cluster.emulated.api.streams import CommandResult, Line
from harness.cluster.emulated.controllers.conditions import at
from harness.cluster.emulated.controllers.enrolment import Enrolment
from harness.cluster.emulated.controllers.envoy_gateway import EnvoyGateway
from harness.cluster.emulated.controllers.istiod import IstiodController
from harness.cluster.emulated.controllers.services import Services
from harness.cluster.emulated.controllers.workloads import Workloads
from harness.cluster.emulated.initial_objects import create_initial_objects
from harness.cluster.emulated.kubelet import Kubelet
from harness.cluster.emulated.mesh_client import curl
from harness.cluster.emulated.network.addresses import Addresses, hidden
from harness.cluster.emulated.network.ztunnel import Ztunnel
from harness.cluster.emulated.network_input import DataPlane
from harness.cluster.emulated.network_updates import MeshUpdates
from harness.cluster.emulated.programs_by_image import Surroundings, role
from harness.cluster.emulated.snapshot import SavedState

_ROUNDS = 40  # after which controllers that still change something are taken for a bug
_RETRY = 0.5  # seconds until the network receives again what it could not take
_log = logging.getLogger(__name__)


class World:
    """Everything behind one API server. `images` are the version set's by role; only those can be pulled."""

    def __init__(
        self, *, name: str, directory: Path, octet: int, images: Mapping[str, str], kubernetes: str, delay_factor: float
    ) -> None:
        self.name, self.images = name, dict(images)
        self.addresses = Addresses(octet)
        self.hosts = {f"{name}-control-plane": self.addresses.node(), f"{name}-worker": self.addresses.node()}
        self.problems: dict[str, str] = {}  # what a controller or the network could not do, by whom
        self.rejections = 0  # a fault: updates that istiod's proxies have refused
        self._wake, self._settled = asyncio.Event(), asyncio.Event()
        self._first_seen: dict[str, float] = {}
        self.store = Store(changed=self.wake)
        self.admission = Admission(self.store)
        self.ztunnel = Ztunnel(self._ztunnel_line, nodes=self.hosts, delay_factor=delay_factor)
        self.around = Surroundings(
            directory=directory,
            ztunnel=self.ztunnel,
            resolve=self.resolve,
            wake=self.wake,
            limiter_store=self._limiter_store,
            texts=self._metrics,
            delay_factor=delay_factor,
        )
        self.kubelet = Kubelet(
            self.store, self.around.programs, address=self.addresses.pod, hosts=self.hosts, pullable=self._pullable
        )
        self.istiod = IstiodController(self.store)
        self.envoy_gateway = EnvoyGateway(self.store, self.images, self._later)
        self.dataplane = DataPlane(self.store, self.envoy_gateway, self.istiod)
        self._telling = MeshUpdates(self.dataplane, self.envoy_gateway, self.around)
        self._controllers = (
            Services(self.store, self.addresses.service),
            Workloads(self.store),
            Enrolment(self.store),
            self.envoy_gateway,
            self.istiod,
            self.kubelet,
        )
        self._eg_version = role_version(self.images["gateway"])
        self.marked = SavedState(self.store, self.kubelet, self.wake, self.settled)
        create_initial_objects(self.store, self.hosts, kubernetes)

    # -- the loop -----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: controllers and network have a look."""
        self._settled.clear()
        self._wake.set()

    async def run(self) -> None:
        """Follows the changes, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._sync()
            if not await self._telling.tell(self.problems):
                asyncio.get_running_loop().call_later(_RETRY, self.wake)
            if not self._wake.is_set():
                self._settled.set()

    async def settled(self) -> None:
        """Returns when the controllers have nothing more to do for now (pods may still be starting)."""
        await self._settled.wait()

    async def close(self) -> None:
        await self.kubelet.close()
        await self.ztunnel.close()

    def _sync(self) -> None:
        for _ in range(_ROUNDS):
            before = self.store.version
            for controller in self._controllers:
                self._guarded(type(controller).__name__, controller.sync)
            if self.store.version == before:
                return
        self.problems["controllers"] = f"still changing something after {_ROUNDS} rounds"
        _log.error("%s", self.problems["controllers"])

    def _guarded(self, who: str, act: Any) -> bool:
        try:
            act()
        except Exception as error:  # noqa: BLE001  # reported in /emulated/state and the log: one must not stop the others
            if self.problems.get(who) != repr(error):
                _log.exception("%s", who)
            self.problems[who] = repr(error)
            return False
        self.problems.pop(who, None)
        return True

    # -- what others ask ----------------------------------------------------------------------------------------

    def resolve(self, host: str, namespace: str) -> str:
        """The address of a host name as a pod of the namespace means it; an address is itself.

        Raises:
            KeyError: there is no such Service.
        """
        if host.replace(".", "").isdigit():
            return host
        parts = host.rstrip(".").removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")
        if len(parts) > 2:
            raise KeyError(host)
        service = self.store.find("services", parts[1] if len(parts) == 2 else namespace, parts[0])
        address = at(service, "spec", "clusterIP")
        if not address:
            raise KeyError(host)
        return str(address)

    def logs(self, pod: Object, container: str, *, previous: bool) -> Sequence[Line]:
        return self.kubelet.log(pod, container, previous=previous)

    async def execute(self, pod: Object, container: str, command: Sequence[str]) -> CommandResult:
        image = next(one["image"] for one in pod["spec"]["containers"] if one["name"] == container)
        run = self.kubelet.of(pod)
        if run is None or not run.started:
            raise bad(f"container {container} of pod {pod['metadata']['name']} does not run")
        if role(image) != "curl" or not command or command[0] != "curl":
            raise ApiError(422, "Invalid", f"exec of {' '.join(command)[:80]!r} in {image} is not emulated (only curl)")
        namespace = pod["metadata"]["namespace"]
        return await curl(command, source=run.ip, resolve=lambda host: self.resolve(host, namespace))

    def reach(self, namespace: str, name: str, port: int) -> str:
        """A base URL that reaches a port of a pod, loopback ones included.

        Raises:
            ApiError: 404, there is no such pod; 400, it does not run.
        """
        pod = self.store.get(self.store.named("Pod"), namespace, name)
        run = self.kubelet.of(pod)
        if run is None or not run.started:
            raise bad(f"pod {namespace}/{name} does not run")
        return f"http://{hidden(run.ip)}:{port}"

    # -- installing ---------------------------------------------------------------------------------------------

    async def install(self, release: Mapping[str, Any]) -> None:
        """Does what `helm upgrade --install` would leave behind; waits for nothing.

        Raises:
            ApiError: 422, a chart or value that is not emulated.
        """
        made = install.objects(release, self.images)
        namespaces = self.store.named("Namespace")
        if not self.store.find("namespaces", "", release["namespace"]):
            self.admission.create(namespaces, "", release["namespace"], {}, "helm")
        if install.chart_of(release) == "gateway-helm":
            self._eg_version = str(release["version"])
        for obj in made:
            kind = self.store.named(obj["kind"], obj["apiVersion"].rpartition("/")[0])
            obj = install.filled(self.store, obj)
            live = self.store.find(kind.storage, obj["metadata"]["namespace"], obj["metadata"]["name"])
            if live is None:
                self.store.create(kind, obj)
            else:
                kept = {"spec": live["spec"] | obj["spec"]} if "spec" in obj else {}
                self.store.update(kind, live | obj | kept | {"metadata": live["metadata"] | obj["metadata"]})
        await self.settled()

    async def uninstall(self, release: Mapping[str, Any]) -> None:
        """Takes a release's objects away."""
        for obj in install.objects(release, self.images):
            kind = self.store.named(obj["kind"], obj["apiVersion"].rpartition("/")[0])
            if self.store.find(kind.storage, obj["metadata"]["namespace"], obj["metadata"]["name"]):
                self.store.delete(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])

    # -- parts --------------------------------------------------------------------------------------------------

    def _ztunnel_line(self, node: str, line: str) -> None:
        for run in self.kubelet.runs.values():
            if run.node == node and run.namespace == "istio-system" and run.name.startswith("ztunnel-"):
                if not run.ending:
                    run.logs["istio-proxy"].write(line)
                return

    def _pullable(self, image: str) -> str:
        if image in self.images.values():
            return ""
        return (
            f'Back-off pulling image "{image}": ErrImagePull: failed to pull and unpack image "{image}": failed to '
            f'resolve reference "{image}": {image}: not found (only the version set\'s images are here)'
        )

    def _later(self, key: str, delay: float) -> bool:
        if not delay:
            return True
        left = self._first_seen.setdefault(key, time.monotonic()) + delay - time.monotonic()
        if left <= 0:
            return True
        asyncio.get_running_loop().call_later(left, self.wake)
        return False

    def _limiter_store(self) -> str:
        return str(at(self.envoy_gateway.config, "rateLimit", "backend", "redis", "url") or "")

    def _metrics(self, image: str) -> str:
        if image == "pilot":
            tag = role_version(self.images["pilot"]).removesuffix("-distroless")
            return (
                f'# TYPE istio_build gauge\nistio_build{{component="pilot",tag="{tag}"}} 1\n'
                "# TYPE pilot_push_triggers counter\n"
                f'pilot_push_triggers{{type="workload"}} {self._telling.pushes}\n'
                + (f'pilot_total_xds_rejects{{type="CDS"}} {self.rejections}\n' if self.rejections else "")
            )
        name = version_differences.value("rejection_counter", self._eg_version.removeprefix("v"))
        refused = {envoy.run.name: len(envoy.process.refusals) for envoy in self.around.envoys.values()}
        counts = [f'{name}{{nodeID="{pod}"}} {count}\n' for pod, count in refused.items() if count and name]
        return "".join([f"# TYPE {name} counter\n" if counts else "", *counts])


def role_version(image: str) -> str:
    """The tag of an image."""
    return image.rsplit(":", 1)[-1]
