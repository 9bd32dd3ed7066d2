"""Waits for an object's owner reference, and for an object's absence."""

from __future__ import annotations

from harness import observations, timeouts
from harness.kube import ApiUnavailable, Kube
from harness.objects.unstructured import objects, text
from harness.wait import until


def wait_for_owner(kube: Kube, name: str) -> list[str]:
    """Waits until the object is there and has an owner, and returns all as "Kind/name"."""

    def look() -> list[str]:
        owners = objects(kube.find(name) or {}, "metadata", "ownerReferences")
        return [f"{text(one, 'kind')}/{text(one, 'name')}" for one in owners]

    found = until(
        look, bool, what=f"{name} has an owner", within=timeouts.STATUS, every=0.25, transient=(ApiUnavailable,)
    )
    observations.record_sighting(f"metadata of {name}", f"owned by {', '.join(found)}")
    return found


def wait_for_absence(kube: Kube, name: str) -> None:
    """Waits until there is no such object."""
    until(
        lambda: kube.find(name) is None,
        bool,
        what=f"{name} is gone",
        within=timeouts.DELETE,
        every=0.25,
        transient=(ApiUnavailable,),
    )
    observations.record_sighting(f"metadata of {name}", "the object is gone")
