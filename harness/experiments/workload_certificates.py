"""Reads the workload certificates in ztunnel: serial numbers, lifetimes, and rotation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from harness import observations, record_replay, timeouts
from harness.components import Ztunnels
from harness.errors import Inconclusive
from harness.kube import ApiUnavailable
from harness.proxy.ztunnel_dump import Certificate
from harness.wait import until

Held = Mapping[tuple[str, str], Certificate]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What every node's ztunnel held before and after, by (node, service account)."""

    before: Held
    after: Held

    @property
    def unchanged(self) -> list[tuple[str, str]]:
        """Those whose serial is the old one."""
        return [who for who, old in self.before.items() if who in self.after and self.after[who].serial == old.serial]

    @property
    def rotated_accounts(self) -> set[str]:
        """The service accounts that hold another certificate now than before."""
        return {who[1] for who in self.before if who in self.after} - {who[1] for who in self.unchanged}

    @property
    def first_expiry(self) -> datetime:
        """When the first of the new ones ends."""
        return min(one.expires for one in self.after.values() if one.expires)


def read_certificates(ztunnels: Ztunnels) -> Held:
    """What every node's ztunnel holds now."""
    return {
        (node, one.identity.rpartition("/")[2]): one
        for node, view in ztunnels.read_views().items()
        for one in view.certificates
        if one.serial
    }


def wait_for_rotation(ztunnels: Ztunnels, before: Held) -> Rotation:
    """Waits until ztunnel holds another certificate for every identity of before that it still knows.

    Raises:
        NotReady: one stayed as it was.
    """
    found = until(
        lambda: Rotation(before, read_certificates(ztunnels)),
        lambda turn: bool(turn.rotated_accounts) and not turn.unchanged,
        what=f"ztunnel has turned {len(before)} certificates",
        within=timeouts.CERTIFICATES,
        every=1.0,
        transient=(ApiUnavailable, Inconclusive),
        show=lambda turn: f"{len(turn.unchanged)} are as they were: {sorted({who[1] for who in turn.unchanged})}",
    )
    observations.record_sighting(
        "ztunnel config_dump",
        f"new serials for {sorted(found.rotated_accounts)}, the first ends {found.first_expiry:%H:%M:%S}",
    )
    return found


def read_hours_left(ztunnels: Ztunnels) -> float:
    """How long the first certificate to end is still good for."""
    ends = min(one.expires for one in read_certificates(ztunnels).values() if one.expires)
    return (ends - record_replay.now()).total_seconds() / 3600
