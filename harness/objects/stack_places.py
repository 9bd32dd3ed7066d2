"""Where Istio, Envoy Gateway and the rate limit service run. Pure.

Their own charts and the harness install them under the names below. Other distributions choose other namespaces and
names; preflight finds them by label on an existing cluster (harness/preflight/facts.py).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class StackPlaces:
    """The workload of each part, as "namespace/name"."""

    istiod: str = "istio-system/istiod"
    cni: str = "istio-system/istio-cni-node"
    ztunnel: str = "istio-system/ztunnel"
    envoy_gateway: str = "envoy-gateway-system/envoy-gateway"
    rate_limit_service: str = "envoy-gateway-system/envoy-ratelimit"
    redis: str = "redis-system/redis"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of all parts."""
        return tuple(dict.fromkeys(namespace_in(place) for place in astuple(self)))

    def text(self, written: str) -> str:
        """The name of a workload as the harness installs it ("Deployment/istio-system/istiod"), as it is here."""
        kind, _, place = written.partition("/")
        moved = dict(zip(astuple(DEFAULT_PLACES), astuple(self), strict=True))
        return f"{kind}/{moved.get(place, place)}"


DEFAULT_PLACES = StackPlaces()


def namespace_in(place: str) -> str:
    """The namespace of "namespace/name"."""
    return place.partition("/")[0]
