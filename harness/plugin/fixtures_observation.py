"""Fixtures that observe requests: journeys and conditions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from harness import boundary
from harness.clients.admin import Admin
from harness.cluster.protocol import Cluster
from harness.components import Envoy, Ztunnels
from harness.experiments.journey_collector import Journeys
from harness.install.releases import GATEWAY, ISTIO
from harness.kube import Kube
from harness.oracles.ours import EVERYTHING, Ours, applied_and_installed
from harness.plugin.oracles import NAME, Oracles
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests

INSTALLED = frozenset({ISTIO, GATEWAY, "redis-system"})


@pytest.fixture(scope="session")
def journeys(kube: Kube, ztunnel: Ztunnels, ingress_gateway: Envoy, waypoint: Envoy) -> Journeys:
    """Follows requests from the ingress to ratings."""
    return Journeys(kube, ztunnel, ingress_gateway, waypoint)


@pytest.fixture(scope="session")
def moment() -> Callable[[], datetime]:
    """The present moment, for shared experiments: older log lines are not of them."""
    return boundary.now


@pytest.fixture(scope="session")
def ours(cluster: Cluster, manifests: Manifests, settings: Settings) -> Callable[[], Ours]:
    """What the oracles judge at present: all of a cluster of our own; of somebody's, what this run applied and
    installed."""
    if cluster.kind != "existing":
        return lambda: EVERYTHING
    installed = INSTALLED if settings.install else frozenset()
    return lambda: applied_and_installed(manifests.ever_applied, installed)


@pytest.fixture(scope="session")
def oracles(stack: None, kube: Kube, admin: Admin, ours: Callable[[], Ours], pytestconfig: pytest.Config) -> Oracles:
    """The oracles of this run, watching every component from now on. Asked for by the plugin, for every test."""
    found = pytestconfig.pluginmanager.get_plugin(NAME)
    assert isinstance(found, Oracles)  # without it nobody asks
    found.begin(kube, admin, ours)
    return found
