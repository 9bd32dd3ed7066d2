"""Reads proxy metrics before and after requests, and returns how much each moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness import observations
from harness.experiments.ingress_or_waypoint import Arm, Place
from harness.http_exchange import Request
from harness.proxy.prometheus import MetricSample, total


@dataclass(frozen=True, slots=True)
class Metered:
    """Requests with their witnesses, and all samples read before and after them."""

    arm: Arm
    before: Sequence[MetricSample]
    after: Sequence[MetricSample]

    def moved(self, name: str, **labels: str) -> float:
        """By how much the samples of this name with these labels rose, all together."""
        return total(self.after, name, **labels) - total(self.before, name, **labels)

    @property
    def names(self) -> set[str]:
        """All metrics that are exposed."""
        return {sample.name for sample in self.after}


def send_metered(
    place: Place, requests: Sequence[Request], who: str, read: Callable[[], Sequence[MetricSample]]
) -> Metered:
    """Sends the requests, each over a connection of its own, and reads the metrics of `who` before and after them.

    Raises:
        Inconclusive: a witness is missing, or the metrics cannot be read.
    """
    before = read()
    arm = place.send(requests, at_once=True)
    found = Metered(arm, before, read())
    observations.record_sighting(f"{who} metrics", f"{len(found.names)} metrics", of=arm.answers.ids)
    return found
