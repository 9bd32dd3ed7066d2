"""The namespaces and names under which Istio, Envoy Gateway and the rate limit service run. Pure.

Their own charts and the harness install them under the names below. Other distributions choose other namespaces and
names; preflight finds them by label on an existing cluster (harness/preflight/facts.py).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class StackPlaces:
    """The workload of each part, as "namespace/name", and the mesh's root namespace."""

    istiod: str = "istio-system/istiod"
    cni: str = "istio-system/istio-cni-node"
    ztunnel: str = "istio-system/ztunnel"
    envoy_gateway: str = "envoy-gateway-system/envoy-gateway"
    rate_limit_service: str = "envoy-gateway-system/envoy-ratelimit"
    redis: str = "redis-system/redis"
    root_namespace: str = "istio-system"  # the mesh's: a policy there is for every namespace

    @property
    def _workloads(self) -> tuple[str, ...]:
        return astuple(self)[:-1]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of all parts, and the root namespace."""
        return tuple(dict.fromkeys([*map(namespace_in, self._workloads), self.root_namespace]))

    def text(self, written: str) -> str:
        """The name of a workload as the harness installs it ("Deployment/istio-system/istiod"), as it is here."""
        kind, _, place = written.partition("/")
        moved = dict(zip(DEFAULT_PLACES._workloads, self._workloads, strict=True))
        return f"{kind}/{moved.get(place, place)}"


DEFAULT_PLACES = StackPlaces()


def namespace_in(place: str) -> str:
    """The namespace of "namespace/name"."""
    return place.partition("/")[0]


def pod_prefix(place: str) -> tuple[str, str]:
    """The namespace of "namespace/name", and how the names of that workload's pods begin."""
    namespace, _, name = place.partition("/")
    return namespace, f"{name}-"
