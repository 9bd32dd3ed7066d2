"""What the mesh costs: latency and throughput by path, processor and memory by component.

Manifest: manifests/cost/paths.yaml    Article: none; docs/cost.md has figures
Figures are no claims: their tables are attached (latency.md, use.md). Claims are that every request was served, and
passed the proxies that its path is named after.
"""

import pytest

from harness import observations
from harness.clients.json_web_token import sign_token
from harness.components.resource_usage import Kubelets
from harness.evidence.cost_tables import path_table, use_table
from harness.load.path_cost import Path, measure_counted, measure_idle_use, measure_use_under_load
from harness.objects.stack_places import pod_prefix
from harness.waits import bind_to_waypoint, gateways, rollouts
from harness.waits.envoy_config import wait_for_route
from harness.waits.status import wait_for_condition

pytestmark = [
    pytest.mark.needs("real gateway", "load"),
    pytest.mark.one_witness("the load's requests have no ids of their own; proxies count them"),
    pytest.mark.timeout(600),
]
ROUNDS, RATE = 5, 200
NO_MESH, ZTUNNEL, WAYPOINT, BOTH = "no mesh", "ztunnel", "waypoint", "ingress and waypoint"
LIMITED, JWT = "waypoint, rate limit", "waypoint, JWT"
SENT = "cluster.httproute/default/{}/rule/0.upstream_rq_total"


@pytest.fixture(scope="module")
def paths(at_waypoint, applied, kube, proxy_of, mesh_client, here):
    """The paths, each with all that it needs in force."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/plain-client"))
    rollouts.wait_for_rollout(kube, here("Deployment/default/plain-server"))
    rollouts.wait_for_rollout(kube, here("Deployment/default/mesh-server"))
    gateways.wait_for_gateway(kube, "ingress-cost", "ingress-cost")
    wait_for_condition(kube, here("BackendTrafficPolicy/default/cost-limited"), "Accepted")
    wait_for_condition(kube, here("SecurityPolicy/default/cost-jwt"), "Accepted")
    bind_to_waypoint.bind_service(kube, "cost-waypoint", "waypoint")
    bind_to_waypoint.wait_for_waypoint_traffic(mesh_client, at_waypoint.envoy, "http://cost-waypoint:9080/")
    wait_for_route(at_waypoint.envoy, here("httproute/default/cost-jwt/"))
    bound, token = "http://cost-waypoint:9080/", f"Bearer {sign_token()}"
    return [
        Path(NO_MESH, "http://cost-plain:9080/", client="app=plain-client"),
        Path(ZTUNNEL, "http://cost-ztunnel:9080/"),
        Path(WAYPOINT, bound, {"Host": "cost.example"}),
        Path(BOTH, "http://ingress-cost:9080/", {"Host": "cost.example"}),
        Path(LIMITED, bound, {"Host": "cost-limited.example"}),
        Path(JWT, bound, {"Host": "cost-jwt.example", "Authorization": token}),
    ]


@pytest.fixture(scope="module")
def measured(paths, kube, at_waypoint, proxy_of, here):
    """Every path, measured in each round."""
    waypoint, ingress = at_waypoint.envoy, proxy_of("ingress-cost")
    counters = {
        "waypoint": (waypoint, here(SENT.format("cost"))),
        "limited": (waypoint, here(SENT.format("cost-limited"))),
        "jwt": (waypoint, here(SENT.format("cost-jwt"))),
        "ingress": (ingress, here(SENT.format("ingress-cost"))),
    }
    return measure_counted(kube, paths, ROUNDS, counters)


def test_every_path_serves_all(measured):
    """Under load, all requests return 200 on each measured path: without mesh, through ztunnel, waypoint and
    ingress, with a rate limit, and with JWT."""
    table = {
        f"p{percent}": path_table(measured.series(lambda one, p=percent: one.ms[p]), NO_MESH, f"p{percent}, ms")
        for percent in (50, 90, 99)
    } | {"throughput": path_table(measured.series(lambda one: one.per_second), NO_MESH, "requests a second", 0)}
    observations.attach("latency.md", "\n\n".join(table.values()) + "\n")

    assert set(measured.statuses) == {NO_MESH, ZTUNNEL, WAYPOINT, BOTH, LIMITED, JWT}
    assert set().union(*measured.statuses.values()) == {"200"}


def test_proxies_of_each_path_count_its_requests(measured):
    """Under load, the request counters of ingress and waypoint equal the number of requests sent on the paths
    through them."""
    assert measured.counters == {
        "waypoint": measured.sent(WAYPOINT, BOTH),
        "limited": measured.sent(LIMITED),
        "jwt": measured.sent(JWT),
        "ingress": measured.sent(BOTH),
    }


def test_use_of_each_component(measured, paths, kube, here):
    """Under steady load through ingress and waypoint, all requests return 200, and both proxies use more CPU than
    when idle."""
    kubelets, space = Kubelets(kube), here("default")
    components = {
        "istiod": pod_prefix(kube.places.istiod),
        "ztunnel, all nodes": pod_prefix(kube.places.ztunnel),
        "istio-cni, all nodes": pod_prefix(kube.places.cni),
        "Envoy Gateway": pod_prefix(kube.places.envoy_gateway),
        "rate limit service": pod_prefix(kube.places.rate_limit_service),
        "Redis": pod_prefix(kube.places.redis),
        "ingress": (space, "ingress-cost-"),
        "waypoint": (space, "waypoint-"),
    }

    idle = measure_idle_use(kubelets, components)
    loaded, statuses = measure_use_under_load(kubelets, components, kube, paths[3], RATE)
    observations.attach("use.md", use_table(idle, loaded) + "\n")

    assert set(statuses) == {"200"}
    assert loaded["ingress"].cores > idle["ingress"].cores
    assert loaded["waypoint"].cores > idle["waypoint"].cores
