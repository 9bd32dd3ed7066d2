"""Envoy's config dump: what is active, what waits, what was refused."""

import copy
from typing import Any

import pytest
from hypothesis import given

from harness.proxy.config_dump import (
    ErrorState,
    SectionAbsent,
    active_cluster,
    error_states,
    listeners,
    max_pending_requests,
    rate_limited_routes,
    route_config,
    routes,
)
from tests.recordings import dump
from tests.recordings.shapes import fuzz, keyed

RATINGS = "httproute/default/ratings/rule/0"
HOSTILE = keyed(
    *("dynamic_listeners", "dynamic_active_clusters", "static_clusters", "cluster", "listener", "error_state", "name"),
    *("active_state", "circuit_breakers", "thresholds", "route_config", "virtual_hosts", "routes", "rate_limits"),
    *("dynamic_route_configs", "actions", "typed_per_filter_config", "metadata", "address", "socket_address"),
)


def waypoint() -> Any:
    """The waypoint under the article's circuit breaker, free to be changed."""
    return copy.deepcopy(dump("admin/waypoint-config_dump.json"))


def ingress() -> Any:
    """The ingress under the article's rate limit, free to be changed."""
    return copy.deepcopy(dump("admin/bookinfo-ingress-config_dump.json"))


def limit_of(of: Any, cluster: str) -> int | None:
    """max_pending_requests of an active cluster."""
    active = active_cluster(of, cluster)
    assert active is not None
    return max_pending_requests(active)


def section(of: Any, kind: str) -> Any:
    """One part of a dump."""
    return next(part for part in of["configs"] if part["@type"].endswith(f".{kind}"))


def test_breaker_of_the_active_cluster() -> None:
    """The article's limit as Envoy enforces it; a 0 is a limit, not an absence."""
    assert limit_of(waypoint(), RATINGS) == 0


def test_cluster_without_a_policy_has_envoys_defaults() -> None:
    """Envoy Gateway itself sets max_retries only."""
    assert limit_of(ingress(), "httproute/default/ingress-bookinfo/rule/0") is None


def test_warming_cluster_does_not_count() -> None:
    """For 15 s the new limits are in the dump and not in force: the active cluster still has the old ones."""
    changed = waypoint()
    part = section(changed, "ClustersConfigDump")
    part["dynamic_warming_clusters"] = copy.deepcopy(part["dynamic_active_clusters"])
    part["dynamic_active_clusters"][0]["cluster"]["circuit_breakers"]["thresholds"] = [{"max_retries": 1024}]

    assert limit_of(changed, RATINGS) is None

    part["dynamic_active_clusters"] = []
    assert active_cluster(changed, RATINGS) is None


def test_limits_of_the_high_priority_are_not_ours() -> None:
    """Envoy Gateway's policies are about the default priority."""
    changed = waypoint()
    breakers = section(changed, "ClustersConfigDump")["dynamic_active_clusters"][0]["cluster"]["circuit_breakers"]
    breakers["thresholds"] = [{"priority": "HIGH", "max_pending_requests": 1}]

    assert limit_of(changed, RATINGS) is None


def test_nothing_is_refused_at_rest() -> None:
    """The recorded dumps are those of a settled cluster."""
    for settled in (waypoint(), ingress()):
        assert error_states(settled) == ()


def test_rate_limited_route_names_its_policy() -> None:
    """One route asks the limiter, and says which policy made it so."""
    (route,) = rate_limited_routes(ingress())

    assert route.name == "httproute/default/ingress-bookinfo/rule/0/match/0/*"
    assert route.rate_limits == ("global",)
    assert route.policies == ("BackendTrafficPolicy/default/productpage-rate-limiting",)


def test_routes_without_actions_are_not_limited() -> None:
    """The waypoint has three routes, under a circuit breaker, and asks no limiter."""
    assert len(routes(waypoint())) == 3
    assert rate_limited_routes(waypoint()) == ()


@pytest.mark.parametrize(
    ("name", "settings", "kinds"),
    [
        ("envoy.filters.http.local_ratelimit", {"stat_prefix": "x"}, ("local",)),
        ("envoy.filters.http.ratelimit", {"rate_limits": [{"actions": [{}]}]}, ("global",)),
        ("envoy.filters.http.ratelimit", {"vh_rate_limits": "IGNORE"}, ()),
        ("envoy.filters.http.cors", {}, ()),
    ],
)
def test_limits_in_filter_settings_count(name: str, settings: object, kinds: tuple[str, ...]) -> None:
    """Local limits, and global ones in newer versions, lie in a filter's settings on the route."""
    changed = waypoint()
    config = section(changed, "RoutesConfigDump")["dynamic_route_configs"][0]["route_config"]
    config["virtual_hosts"][0]["routes"][0]["typed_per_filter_config"] = {name: settings}

    assert routes(changed)[0].rate_limits == kinds


def test_changed_listener_keeps_its_old_self_for_a_while() -> None:
    """The ingress listener that was changed is there twice: active and draining."""
    found = [(one.name, one.state, one.address) for one in listeners(ingress()) if one.name.startswith("default/")]

    assert found == [
        ("default/bookinfo-ingress/ingress", "active", "0.0.0.0:10080"),
        ("default/bookinfo-ingress/ingress", "draining", "0.0.0.0:10080"),
    ]


def test_refused_listener_is_an_error_and_no_listener() -> None:
    """A listener that was refused at birth has an error_state and nothing else."""
    changed = waypoint()
    section(changed, "ListenersConfigDump")["dynamic_listeners"].append(
        {
            "name": "default/waypoint/fake-hbone-port",
            "error_state": {"details": "cannot bind '0.0.0.0:15008': Address already in use"},
        }
    )

    assert error_states(changed) == (
        ErrorState("default/waypoint/fake-hbone-port", "cannot bind '0.0.0.0:15008': Address already in use"),
    )
    assert "default/waypoint/fake-hbone-port" not in [one.name for one in listeners(changed)]


def test_refused_cluster_is_named_by_its_configuration() -> None:
    """A cluster's error lies beside the cluster, or in what failed."""
    changed = waypoint()
    part = section(changed, "ClustersConfigDump")
    part["dynamic_active_clusters"][0]["error_state"] = {"details": "a"}
    part["dynamic_warming_clusters"] = [{"error_state": {"details": "b", "failed_configuration": {"name": "n"}}}]

    assert error_states(changed) == (ErrorState(RATINGS, "a"), ErrorState("n", "b"))


@pytest.mark.parametrize("read", [listeners, routes, rate_limited_routes, error_states])
@pytest.mark.parametrize("partial", [{}, {"configs": []}, {"configs": None}])
def test_partial_dump_says_nothing(read: Any, partial: Any) -> None:
    """A dump without the section is not a proxy without listeners."""
    with pytest.raises(SectionAbsent):
        read(partial)


@fuzz
@given(HOSTILE)
def test_any_section_can_be_read(value: object) -> None:
    """Sections of any shape are read without an error."""
    kinds = ("ListenersConfigDump", "ClustersConfigDump", "RoutesConfigDump")
    body = value if isinstance(value, dict) else {"static_listeners": value}
    hostile = {"configs": [{**body, "@type": f"type.googleapis.com/envoy.admin.v3.{kind}"} for kind in kinds]}

    for read in (listeners, routes, rate_limited_routes, error_states):
        assert isinstance(read(hostile), tuple)
    max_pending_requests(active_cluster(hostile, "x") or body)


def test_active_cluster_and_route_are_found_by_name() -> None:
    """As they are in use; one that only warms is not, and a route is found by the beginning of its name."""
    dump = waypoint()
    cluster, route = active_cluster(dump, RATINGS), route_config(dump, "httproute/default/ratings/")
    section(dump, "ClustersConfigDump").pop("dynamic_active_clusters")

    assert cluster is not None
    assert cluster["circuit_breakers"]["thresholds"]
    assert route is not None
    assert route["route"]["cluster"] == RATINGS
    assert active_cluster(dump, RATINGS) is None
    assert route_config(dump, "httproute/default/other/") is None
