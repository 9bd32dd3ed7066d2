"""Fixtures of what statuses do not say: journeys of requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from harness.clients.proxies import Envoy, Ztunnels
from harness.kube import Kube
from harness.stack.journeys import Journeys


@pytest.fixture(scope="session")
def journeys(kube: Kube, ztunnel: Ztunnels, ingress_gateway: Envoy, waypoint: Envoy) -> Journeys:
    """Follows requests from the ingress to ratings."""
    return Journeys(kube, ztunnel, ingress_gateway, waypoint)


@pytest.fixture(scope="session")
def moment() -> Callable[[], datetime]:
    """The present moment, for shared experiments: older log lines are not of them."""
    return lambda: datetime.now(UTC)
