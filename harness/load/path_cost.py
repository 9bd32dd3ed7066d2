"""Measures latency and throughput of requests over different paths, in alternating rounds.

fortio runs in a pod of the cluster. Latency is measured at a fixed rate over one kept connection, throughput with
several as fast as they go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from harness import observations, timeouts
from harness.clients import mesh
from harness.components import Envoy
from harness.components.resource_usage import Kubelets, Use
from harness.errors import Inconclusive
from harness.kube import Kube
from harness.load.fortio_command import BINARY
from harness.wait import pause

RATE, SECONDS = 100, 2.5  # requests a second, and for how long, of a measurement of latency
BUSY, BUSY_SECONDS = 4, 1.5  # connections, and for how long, of one of throughput
PERCENTILES = (50, 90, 99)
IDLE, LOAD, STARTED = 20.0, 60.0, 20.0  # seconds; a kubelet measures every 10 to 15 s


@dataclass(frozen=True, slots=True)
class Path:
    """A path of a request: the URL and headers that lead there, from the pod with these labels."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = mesh.LABELS


@dataclass(frozen=True, slots=True)
class Measured:
    """One path in one round: milliseconds by percentile, requests a second, and all answers by status."""

    ms: Mapping[int, float]
    per_second: float
    statuses: Mapping[str, int]

    @property
    def sent(self) -> int:
        """All requests: fortio opens each connection with one that it does not count."""
        return sum(self.statuses.values()) + 1 + BUSY


def measure_paths(kube: Kube, paths: Sequence[Path], rounds: int) -> dict[str, list[Measured]]:
    """Measures every path once in each round, in an order that is shuffled anew (with a fixed seed). By path.

    Raises:
        Inconclusive: fortio wrote no result.
    """
    found: dict[str, list[Measured]] = {path.name: [] for path in paths}
    order, shuffle = list(paths), Random(14).shuffle
    for _ in range(rounds):
        shuffle(order)
        for path in order:
            found[path.name].append(measure_path(kube, path))
    return found


def measure_path(kube: Kube, path: Path) -> Measured:
    """One path once."""
    paced = _run(kube, path, rate=RATE, connections=1, seconds=SECONDS)
    busy = _run(kube, path, rate=0, connections=BUSY, seconds=BUSY_SECONDS)
    statuses = {code: 0 for run in (paced, busy) for code in run["RetCodes"]}
    for run in (paced, busy):
        for code, count in run["RetCodes"].items():
            statuses[code] += count
    ms = {int(one["Percentile"]): one["Value"] * 1000 for one in paced["DurationHistogram"]["Percentiles"]}
    observations.record_sighting("fortio", f"{path.name}: {statuses}")
    return Measured(ms, busy["ActualQPS"], statuses)


@dataclass(frozen=True, slots=True)
class Counted:
    """The measurements by path, and how far the counters of the proxies moved meanwhile, by name."""

    paths: Mapping[str, Sequence[Measured]]
    counters: Mapping[str, int]

    @property
    def statuses(self) -> dict[str, set[str]]:
        """All statuses that a path returned."""
        return {name: {code for one in rounds for code in one.statuses} for name, rounds in self.paths.items()}

    def sent(self, *paths: str) -> int:
        """All requests over these paths together."""
        return sum(one.sent for path in paths for one in self.paths[path])

    def series(self, read: Callable[[Measured], float]) -> dict[str, list[float]]:
        """A figure of each round, by path."""
        return {name: [read(one) for one in rounds] for name, rounds in self.paths.items()}


def measure_counted(
    kube: Kube, paths: Sequence[Path], rounds: int, counters: Mapping[str, tuple[Envoy, str]]
) -> Counted:
    """As `measure_paths`, with counters of proxies around it: by name, the proxy and the ending of the counter's name.

    Raises:
        Inconclusive: also as `Envoy.counting`.
    """
    with ExitStack() as stack:
        moved = {name: stack.enter_context(envoy.counting(ending)) for name, (envoy, ending) in counters.items()}
        found = measure_paths(kube, paths, rounds)
    return Counted(found, {name: change.moved for name, change in moved.items()})


def measure_idle_use(kubelets: Kubelets, components: Mapping[str, tuple[str, str]]) -> dict[str, Use]:
    """What each component uses while nothing is sent, over IDLE seconds or more."""
    pause(STARTED, why="the kubelets have measured since the last load ended")
    before = kubelets.read_usage()
    pause(IDLE, why="the components are idle")
    return kubelets.wait_for_newer(before, components)


def measure_use_under_load(
    kubelets: Kubelets, components: Mapping[str, tuple[str, str]], kube: Kube, path: Path, rate: float
) -> tuple[dict[str, Use], dict[str, int]]:
    """What each component uses while requests take that path at that rate, and all answers by status. Both readings are
    of a time within the load.

    Raises:
        Inconclusive: the load ended before the second reading.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        load = pool.submit(send_load, kube, path, rate, LOAD)
        pause(STARTED, why="the kubelets have measured since the load began")
        before = kubelets.read_usage()
        used = kubelets.wait_for_newer(before, components)
        if load.done():
            raise Inconclusive(f"the load of {LOAD:g} s ended before the kubelets had measured twice")
        return used, load.result()


def send_load(kube: Kube, path: Path, rate: float, seconds: float) -> dict[str, int]:
    """Sends at that rate for so long; all answers by status.

    Raises:
        as `measure_paths`.
    """
    return dict(_run(kube, path, rate=rate, connections=BUSY, seconds=seconds)["RetCodes"])


def _run(kube: Kube, path: Path, *, rate: float, connections: int, seconds: float) -> dict[str, Any]:
    argv = [BINARY, "load", "-quiet", "-loglevel", "Critical", "-allow-initial-errors", "-nocatchup", "-r", "0.00002"]
    argv += ["-qps", f"{rate:g}", "-c", str(connections), "-t", f"{seconds:g}s", "-p", ",".join(map(str, PERCENTILES))]
    for name, value in path.headers.items():
        argv += ["-H", f"{name}: {value}"]
    name = mesh.read_client_pod(kube, path.client)["metadata"]["name"]
    within = seconds + timeouts.LOAD_END
    ended = kube.exec_in_pod(kube.namespace, name, "fortio", [*argv, "-json", "-", path.url], within=within)
    try:
        found: dict[str, Any] = json.loads(ended.stdout[ended.stdout.index("{") :])
        found["RetCodes"], found["DurationHistogram"]["Percentiles"], found["ActualQPS"]
    except (ValueError, KeyError, TypeError) as error:
        raise Inconclusive(f"fortio wrote no result to {path.url}: {(ended.stderr or ended.stdout)[-300:]}") from error
    return found
