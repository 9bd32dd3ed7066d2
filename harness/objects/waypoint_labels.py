"""Istio's labels and condition for binding Services to waypoints. Pure."""

from __future__ import annotations

from collections.abc import Mapping

USE_WAYPOINT = "istio.io/use-waypoint"  # of a namespace, Service or pod: the name of a Gateway, or "none"
USE_WAYPOINT_NAMESPACE = "istio.io/use-waypoint-namespace"  # of that Gateway, where it is another one
WAYPOINT_FOR = "istio.io/waypoint-for"  # of a Gateway: what it is a waypoint of
WAYPOINT_BOUND = "istio.io/WaypointBound"  # the condition of a Service


def is_for_services(gateway: Mapping[str, object]) -> bool:
    """Whether a Gateway with these labels is a waypoint of Services: it is without the label, too."""
    return gateway.get(WAYPOINT_FOR, "service") in ("service", "all")
