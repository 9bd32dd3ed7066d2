"""The hops of one request's path through the mesh, and the verdict on them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.evidence import verdict
from harness.evidence.verdict import Verdict

Kind = Literal["client", "ingress", "ztunnel-out", "ztunnel-in", "waypoint", "backend"]
Protocol = Literal["HBONE", "mTLS", "plaintext", "-"]
Via = Literal["ingress", "waypoint"]


@dataclass(frozen=True, slots=True)
class Pod:
    """Who owns an IP: "namespace/name" and its node."""

    name: str
    node: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One station of the request.

    who is a pod, or its IP where the pod is unknown. identity is the client's SPIFFE id on the ztunnel hops (proven to
    the callee) and the callee's on the backend. protocol is how ztunnel carried it, "-" on all other hops. status is
    the HTTP status of an Envoy; "ok", the error, or "open" (it is open still, and has no line yet) of a ztunnel; "-"
    elsewhere. ms is the request's time at an Envoy, the whole connection's at a ztunnel. address is where the hop was
    reached.
    """

    who: str
    kind: Kind
    identity: str
    protocol: Protocol
    status: str
    flags: str
    ms: float | None
    node: str
    address: str


@dataclass(frozen=True, slots=True)
class Journey:
    """The hops in the order of travel.

    missing names each hop that should have left a line and did not; ambiguous each that several unlike lines fit.
    nearby are ztunnel's failed connections during the request: they carry no id, so they are hints, not hops.
    """

    id: str
    hops: tuple[Hop, ...]
    missing: tuple[str, ...]
    ambiguous: tuple[str, ...]
    nearby: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Held when every hop was seen and ztunnel carried each over HBONE without an error.

        An HTTP status is not judged: a 429 or 503 can travel well. A missing hop is inconclusive, never held.
        """
        legs = [_judge(hop) for hop in self.hops if hop.kind in ("ztunnel-out", "ztunnel-in")]
        gaps = [verdict.inconclusive(f"missing: {gap}") for gap in self.missing]
        doubts = [verdict.inconclusive(f"ambiguous: {doubt}") for doubt in self.ambiguous]
        envoys = [verdict.held(f"{hop.who} answered {hop.status}") for hop in self.hops if hop.kind in _ENVOYS]
        return verdict.combine([*legs, *gaps, *doubts, *envoys])


_ENVOYS = ("ingress", "waypoint")
OPEN = "open"  # the status of a ztunnel hop whose connection is open still


def _judge(hop: Hop) -> Verdict:
    if hop.status not in ("ok", OPEN):
        return verdict.broken(f"{hop.kind} at {hop.who}: {hop.status}")
    if hop.protocol != "HBONE":
        return verdict.broken(f"{hop.kind} at {hop.who}: {hop.protocol} to {hop.address}, not HBONE")
    return verdict.held(f"{hop.kind} at {hop.who}: HBONE")
