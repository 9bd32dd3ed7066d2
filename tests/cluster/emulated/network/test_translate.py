"""The emulated cluster configures Envoy as Envoy Gateway does on the real one (tests/recordings/admin)."""

import copy
from typing import Any

import pytest

from harness.cluster.emulated.network.model import Proxy, ServiceEntry
from harness.cluster.emulated.network.translate import container_port, limits, xds
from tests import recordings

GATEWAYS = recordings.objects("objects/gateway.yaml")
ROUTES = recordings.objects("objects/httproute.yaml")
POLICIES = recordings.objects("objects/btp.yaml")
SERVICES = (
    ServiceEntry("productpage", "default", "10.96.0.1", {9080: 9080}, ("10.244.0.17",)),
    ServiceEntry("ratings", "default", "10.96.0.2", {9080: 9080}, ("10.244.0.33",)),
)
LIMITER = ("10.96.107.245", 8081)


def translated(gateway: str, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "routes": ROUTES.values(),
        "services": SERVICES,
        "backend_policies": POLICIES.values(),
    } | changes
    return xds(GATEWAYS[gateway], Proxy(LIMITER), **given)


def recorded(gateway: str, section: str, name: str) -> Any:
    """One dynamic resource of the recorded config_dump, without its @type."""
    for config in recordings.dump(f"admin/{gateway}-config_dump.json")["configs"]:
        for entry in config.get(section, ()):
            held = entry.get("active_state", entry)
            body = held.get("listener") or held.get("cluster") or held.get("route_config")
            if body["name"] == name:
                return {k: v for k, v in body.items() if k != "@type"}
    raise LookupError(f"{name} is not in {section}")


def named(resources: Any, name: str) -> Any:
    return next(r for r in resources if r["name"] == name)


@pytest.mark.parametrize(("gateway", "listener"), [("waypoint", "ratings"), ("bookinfo-ingress", "ingress")])
def test_listener_is_the_recorded_one(gateway: str, listener: str) -> None:
    """Filters, access log, limits: all of an HTTP listener."""
    name = f"default/{gateway}/{listener}"

    assert named(translated(gateway).listeners, name) == recorded(gateway, "dynamic_listeners", name)


@pytest.mark.parametrize(("gateway", "listener"), [("waypoint", "ratings"), ("bookinfo-ingress", "ingress")])
def test_routes_are_the_recorded_ones(gateway: str, listener: str) -> None:
    """Virtual hosts, route names, rate-limit actions, metadata."""
    name = f"default/{gateway}/{listener}"
    actual, truth = named(translated(gateway).routes, name), recorded(gateway, "dynamic_route_configs", name)

    assert actual == truth


@pytest.mark.parametrize(("gateway", "route"), [("waypoint", "ratings"), ("bookinfo-ingress", "ingress-bookinfo")])
def test_clusters_are_the_recorded_ones(gateway: str, route: str) -> None:
    """Thresholds with and without a circuit breaker; the dump alone spells the defaults out."""
    name = f"httproute/default/{route}/rule/0"

    assert named(translated(gateway).clusters, name) == recorded(gateway, "dynamic_active_clusters", name)


def test_readiness_listener_is_the_recorded_one() -> None:
    name = "envoy-gateway-proxy-ready-0.0.0.0-19003"

    assert named(translated("waypoint").listeners, name) == recorded("waypoint", "dynamic_listeners", name)


def test_endpoints_are_in_the_locality_of_their_backend() -> None:
    """region::httproute/.../rule/0/backend/0 in the recorded /clusters."""
    endpoints = translated("waypoint").endpoints["httproute/default/ratings/rule/0"]

    (group,) = endpoints["endpoints"]
    assert group["locality"] == {"region": "httproute/default/ratings/rule/0/backend/0"}
    assert group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] == {
        "address": "10.244.0.33",
        "port_value": 9080,
    }


def test_limits_have_the_recorded_key() -> None:
    """/rlconfig names a limit by domain and descriptor path."""
    (limit,) = limits(GATEWAYS["bookinfo-ingress"], routes=ROUTES.values(), backend_policies=POLICIES.values())

    line = recordings.text("admin/ratelimit-rlconfig.txt").strip()
    assert line.startswith(f"{limit.key}: unit={limit.unit} requests_per_unit={limit.requests},")


def test_policy_of_the_route_overrides_that_of_the_gateway() -> None:
    """As a whole: nothing of the Gateway's is left."""
    wide = copy.deepcopy(POLICIES["circuit-breaker-btp"])
    wide["metadata"]["name"] = "wide"
    wide["spec"] = {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}],
        "circuitBreaker": {"maxConnections": 7},
    }
    name = "httproute/default/ratings/rule/0"

    both = translated("waypoint", backend_policies=[wide, POLICIES["circuit-breaker-btp"]])
    alone = translated("waypoint", backend_policies=[wide])

    assert named(both.clusters, name)["circuit_breakers"]["thresholds"][0]["max_requests"] == 10
    assert named(alone.clusters, name)["circuit_breakers"]["thresholds"][0]["max_connections"] == 7


def test_missing_service_answers_500_and_one_without_endpoints_503() -> None:
    gone = translated("waypoint", services=())
    empty = translated("waypoint", services=(ServiceEntry("ratings", "default", "10.96.0.2", {9080: 9080}),))

    assert {r["direct_response"]["status"] for r in _routes(gone)} == {500}
    assert {r["direct_response"]["status"] for r in _routes(empty)} == {503}


def test_tcp_listener_leads_to_the_empty_cluster() -> None:
    """Envoy Gateway makes a real listener of a TCP one without a route (docs/port-15008.md)."""
    gateway = copy.deepcopy(GATEWAYS["waypoint"])
    gateway["spec"]["listeners"].append({"name": "fake-hbone", "port": 15008, "protocol": "TCP"})

    resources = xds(gateway, Proxy(), routes=ROUTES.values(), services=SERVICES)

    listener = named(resources.listeners, "default/waypoint/fake-hbone")
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 15008}
    assert "EmptyCluster" in {cluster["name"] for cluster in resources.clusters}


@pytest.mark.parametrize(("port", "spec", "want"), [
    (80, {}, 10080),
    (9080, {}, 9080),
    (80, {"provider": {"kubernetes": {"useListenerPortAsContainerPort": True}}}, 80),
])  # fmt: skip
def test_container_port(port: int, spec: dict[str, Any], want: int) -> None:
    """Ports below 1024 are shifted, unless the EnvoyProxy says not to."""
    assert container_port(port, {"spec": spec}) == want


def _routes(resources: Any) -> list[Any]:
    return [route for config in resources.routes for host in config["virtual_hosts"] for route in host["routes"]]
