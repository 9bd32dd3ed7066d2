"""Decides whether a change affects only objects that the run created. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.errors import NotAllowed
from harness.objects.kind_namespace_name import Ref
from harness.objects.namespace_mapping import Placement


def affects_others(named: Ref, placement: Placement) -> str:
    """An object's name with the reason why its change concerns others than a run there: "Node/worker (cluster-wide)",
    "Deployment/istio-system/istiod"; empty if it does not."""
    if placement.has(named):
        return ""
    return str(named) if named.namespace else f"{named} (cluster-wide)"


def check_affects_no_others(changes: Iterable[Ref], placement: Placement, not_ours: str) -> None:
    """Checks the names of what is to be changed, before any of it is.

    Raises:
        NotAllowed: some concern others, which `not_ours` says must not be; all are named.
    """
    found = [why for named in changes if (why := affects_others(named, placement))]
    if found:
        raise NotAllowed(f"disruptive: {not_ours}: {', '.join(found)}")
