"""Fixtures that observe: times, conditions, journeys, oracles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest

from harness import record_replay
from harness.clients.admin import Admin
from harness.cluster.protocol import Cluster
from harness.components import Envoy, Ztunnels
from harness.experiments.journey_collector import JourneyCollector
from harness.kube import Kube
from harness.objects.conditions import ConditionResult
from harness.objects.namespace_mapping import Placement
from harness.oracles.shared_cluster_scope import OracleScope
from harness.plugin.oracles import NAME, Oracles, scope_of_run
from harness.settings import Settings
from harness.undo.temporary_changes import Manifests
from harness.waits import status


@pytest.fixture(scope="session")
def placement(ztunnel: Ztunnels, settings: Settings) -> Placement:
    """Where this run lives: its namespace, and the domains that the cluster has."""
    trust_domain, cluster_domain = ztunnel.wait_for_domains()
    return Placement(settings.suite_namespace, trust_domain, cluster_domain)


@pytest.fixture(scope="session")
def here(placement: Placement) -> Callable[[str], str]:
    """`here("Service/default/ratings")`: a name as the article has it, in this run's namespace and domains."""
    return placement.text


@pytest.fixture(scope="session")
def journey_collector(kube: Kube, ztunnel: Ztunnels, ingress_gateway: Envoy, waypoint: Envoy) -> JourneyCollector:
    """Follows requests from the ingress to ratings."""
    return JourneyCollector(kube, ztunnel, ingress_gateway, waypoint)


@pytest.fixture
def since() -> datetime:
    """A moment before the test's act: older log lines are not of this test."""
    return record_replay.now()


@pytest.fixture(scope="session")
def monotonic_clock() -> Callable[[], float]:
    """Seconds that only go forward, for what is timed."""
    return record_replay.monotonic


@pytest.fixture(scope="session")
def current_time() -> Callable[[], datetime]:
    """The present moment, for shared experiments: older log lines are not of them."""
    return record_replay.now


@pytest.fixture(scope="session")
def read_condition(kube: Kube) -> Callable[..., ConditionResult]:
    """`read_condition("Gateway/default/x", "Accepted", about="")`: a condition now, for the current generation."""
    return lambda name, type, **about: status.read_condition(kube, name, type, **about)


@pytest.fixture(scope="session")
def oracle_scope(cluster: Cluster, manifests: Manifests, settings: Settings) -> Callable[[], OracleScope]:
    """What the oracles judge at present: all of a cluster of our own; of an existing one, what this run applied and
    installed."""
    return partial(scope_of_run, cluster, manifests, settings)


@pytest.fixture(scope="session")
def oracles(
    stack: None, kube: Kube, admin: Admin, oracle_scope: Callable[[], OracleScope], pytestconfig: pytest.Config
) -> Oracles:
    """The oracles of this run, watching every component from now on. Asked for by the plugin, for every test."""
    found = pytestconfig.pluginmanager.get_plugin(NAME)
    assert isinstance(found, Oracles)  # without it this fixture is not used
    found.begin(kube, admin, oracle_scope)
    return found
