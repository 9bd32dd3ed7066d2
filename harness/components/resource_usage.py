"""CPU and memory use of each component, from the kubelets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness import observations, timeouts
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable, Kube
from harness.proxy import kubelet_stats
from harness.proxy.kubelet_stats import Usage
from harness.wait import until

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """Of one component between two readings: cores on average, and the greater working set in bytes."""

    cores: float
    memory_bytes: int


class Kubelets:
    """The kubelets of all nodes."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def read_usage(self) -> dict[Key, Usage]:
        """Every container's use until now, as last measured (every 10 s or so).

        Raises:
            ApiUnavailable: a kubelet did not answer.
        """
        found: dict[Key, Usage] = {}
        for node in self._kube.list_objects("Node"):
            found |= kubelet_stats.parse(self._kube.read_node_stats(node["metadata"]["name"]))
        return found

    def wait_for_newer(self, before: Mapping[Key, Usage], components: Mapping[str, tuple[str, str]]) -> dict[str, Use]:
        """What each component has used since `before`, once the kubelets have measured all of its containers again.
        `components` has the namespace and the beginning of its pods' names of each.

        Raises:
            Inconclusive: a component has no container, or none that was there before as well.
            NotReady: the kubelets did not measure them in time.
        """
        wanted = {name: [key for key in before if _is_of(key, of)] for name, of in components.items()}
        if empty := [name for name, keys in wanted.items() if not keys]:
            raise Inconclusive(f"the kubelets list no container of {', '.join(empty)}")
        all_keys = [key for keys in wanted.values() for key in keys]
        after = until(
            self.read_usage,
            lambda now: all(key in now and now[key].at > before[key].at for key in all_keys),
            what=f"the kubelets have measured {len(all_keys)} containers again",
            within=timeouts.KUBELET_STATS,
            every=2.0,
            transient=(ApiUnavailable,),
            show=lambda now: f"{sum(key in now and now[key].at > before[key].at for key in all_keys)} of them",
        )
        found = {name: _use(keys, before, after) for name, keys in wanted.items()}
        observations.record_sighting("kubelets", f"use of {len(found)} components")
        return found


def _is_of(key: Key, of: tuple[str, str]) -> bool:
    return key[0] == of[0] and key[1].startswith(of[1])


def _use(keys: list[Key], before: Mapping[Key, Usage], after: Mapping[Key, Usage]) -> Use:
    cores = sum(
        (after[key].cpu_seconds - before[key].cpu_seconds) / (after[key].at - before[key].at).total_seconds()
        for key in keys
    )
    return Use(cores, sum(max(before[key].memory_bytes, after[key].memory_bytes) for key in keys))
