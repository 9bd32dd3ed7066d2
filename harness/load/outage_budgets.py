"""How long requests may fail while a component is replaced, each budget with its reason. Pure.

The times of recorded runs (docs/outages.md) depend on the machine and are few: `seen` is the longest of them, and no
bound. A budget is what the parts of a replacement may take together, and at least twice that.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """`seconds` that are allowed, why so many, and the longest that recorded runs took."""

    seconds: float
    why: str
    seen: float

    def __str__(self) -> str:
        return f"at most {self.seconds:g} s: {self.why}; at most {self.seen:g} s in recorded runs"


# From the disruption on.
ZTUNNEL_KILLED = Budget(
    30.0, "kubelet waits 2 s for a killed pod, then a new ztunnel starts and receives workloads and certificates", 6.3
)
WAYPOINT_DELETED = Budget(
    60.0, "a new pod is scheduled and starts, Envoy Gateway gives it a startup probe of 10 s, istiod pushes it", 12.7
)
# From the moment that the replaced component is ready.
AFTER_READY = Budget(
    15.0,
    "istiod may hold endpoints back for 10 s (PILOT_DEBOUNCE_MAX), and a client's connection times out in 3 s",
    1.0,
)
LIMIT_AFTER_READY = Budget(
    30.0, "beside the endpoints, Envoy connects to the rate limit service anew and its own timeout is 2 s", 15.0
)
