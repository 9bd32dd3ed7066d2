"""Envoy Gateway or Istio is upgraded to another version and back under load (UPGRADE_TO=eg-1.9.0).

Manifest: manifests/upgrades/there_and_back.yaml

Promise: new pods replace old ones one by one, as in a restart (docs/outages.md). Definitions are those of the Gateway
API and Envoy Gateway, or Istio's chart `base`; documentation says that they come first. On the way back they stay, so
the older version runs with newer definitions. After each order the older definitions are put back.
"""

from dataclasses import dataclass

import pytest

from harness import version_differences
from harness.disruption import definition_upgrade, restarts, version_upgrade
from harness.disruption.definition_upgrade import SAFE_UPGRADES, STORED, Replaced
from harness.disruption.requested_upgrade import ORDERS, check_order
from harness.experiments.policy_snapshot import BY_SERVICE, LIMITED, SCRIPTED, KeptPolicies, observe_policies
from harness.experiments.tcp_route_served import TIMES, TcpRoute, observe_tcp_route, wait_for_tcp_route
from harness.http_exchange import get
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text
from harness.load.upgrade_losses import record_path
from harness.waits import policy_propagation, status
from harness.waits.responses import wait_for_response

pytestmark = [
    pytest.mark.extended("Upgrades"),
    pytest.mark.needs("load", "upgrade", "disruptive", "rate limit"),
    pytest.mark.timeout(900),
]
REQUEST, HEALTH = get("http://ratings:9080/ratings/0"), get(LIMITED)
TEAPOT = {"runs": 418, "is not Accepted": 500}  # the response of the script's path
QUOTA, FLAGS = [200, 200, 200, 429, 429], ["-", "-", "-", "RL", "RL"]
NEW_CONNECTIONS = UNCLOSED.allowed()  # of a client that opens one for each request, as in a rolling restart
PROMISE = "at most two new connections"
TCP_GATEWAY = "Gateway/default/kept-tcp"
SERVED, NOT_SERVED = TcpRoute(TIMES, accepted=True), TcpRoute(0, accepted=True)
CONNECTIONS = pytest.mark.one_witness("TCP connections have no request id to join witnesses by")
ONE = pytest.mark.one_witness("an upgrade replaces the proxies, and their access logs go with them")


@dataclass(frozen=True)
class Journey:
    """Load of the steps there and of the way back; what the policies and the TCPRoute do before, after each step there,
    and back; the TCPRoute also after a restart of the newer control plane. `stuck`: what was seen of a newer control
    plane that did not start before the definitions were there."""

    order: str
    there: tuple[BackgroundLoad, BackgroundLoad]
    back: BackgroundLoad
    before: KeptPolicies
    between: KeptPolicies
    after: KeptPolicies
    after_back: KeptPolicies
    tcp: tuple[TcpRoute, TcpRoute, TcpRoute, TcpRoute]
    tcp_restarted: TcpRoute
    definitions: Replaced
    older: Replaced
    forced: Replaced
    stuck: str
    version_after: str
    version_back: str


@pytest.fixture(scope="module")
def sources(new_connections, keepalive, ingress_load):
    """New and keep-alive connections through the waypoint, and a client of the ingress."""
    return new_connections(REQUEST), keepalive(REQUEST), ingress_load(HEALTH)


@pytest.fixture(scope="module")
def observe(
    version_upgrade_plan,
    rate_limit_window,
    applied,
    kube,
    ingress,
    ingress_gateway,
    at_ingress,
    at_waypoint,
    rate_limit_service,
    monotonic_clock,
    here,
):
    """`observe()`: what the policies do now, each once the rate limit service counts."""
    policies = {
        "quota": here("BackendTrafficPolicy/default/kept-quota"),
        "script": here("EnvoyExtensionPolicy/default/kept-script"),
        "routing": here("BackendTrafficPolicy/default/kept-routing"),
    }
    started = monotonic_clock()
    policy_propagation.wait_for_accepted(kube, policies["quota"], since=started)
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=started)
    status.wait_for_condition(kube, policies["routing"], "Accepted")
    script = version_differences.value("lua", version_upgrade_plan.before.envoy_gateway)
    wait_for_response(ingress, at_ingress.get("/teapot", host=SCRIPTED), status=TEAPOT[script])
    wait_for_response(ingress, at_ingress.get(host=BY_SERVICE), status=200)

    return lambda: observe_policies(at_ingress, at_waypoint, rate_limit_service, kube, policies)


@pytest.fixture(scope="module")
def tcp(mesh_client, kube, echo, here):
    """The client of the TCPRoute, its listener and its name."""
    return mesh_client, kube, "tcp://kept-tcp:9000", here("TCPRoute/default/kept-tcp")


@pytest.fixture(scope="module", params=ORDERS, ids=lambda order: order.replace(" ", "-"))
def journey(request, version_upgrade_plan, load, sources, observe, applying, tcp, cluster, kube, here):
    """There and back, under load at each step, in one of two orders; then the older definitions are put back."""
    plan, order = version_upgrade_plan, request.param
    (one, do_one), (other, do_other) = version_upgrade.steps(cluster, kube, plan, order).items()
    with version_upgrade.while_upgraded(cluster, kube, plan):
        with applying("upgrades/tcp_route.yaml"):
            status.wait_for_condition(kube, here(TCP_GATEWAY), "Programmed")
            wait_for_tcp_route(*tcp)
            before, tcp_before = observe(), observe_tcp_route(*tcp)
            with load(*sources) as first, first.event(f"{plan.name}, {order}: {one}", PROMISE):
                done = {one: do_one()}
            between, tcp_between = observe(), observe_tcp_route(*tcp)
            with load(*sources) as second, second.event(f"{plan.name}, {order}: {other}", PROMISE):
                done[other] = do_other()
            after, tcp_after, version_after = observe(), observe_tcp_route(*tcp), plan.running(kube)
            restarts.restart_rolling(kube, plan.control_plane)
            tcp_restarted = wait_for_tcp_route(*tcp)
            with load(*sources) as way_back, way_back.event(f"{plan.name}, {order}: and back", PROMISE):
                version_upgrade.upgrade_product(cluster, kube, plan, plan.before)
            after_back, tcp_back, version_back = observe(), observe_tcp_route(*tcp), plan.running(kube)
        older = definition_upgrade.replace_definitions(cluster, kube, plan, plan.before)
        forced = definition_upgrade.force_older_definitions(cluster, kube, plan)
        there = (*first.recorded_timelines, *second.recorded_timelines)
        record_path(plan.name, order, there, rejected=0, changed=after.differs_from(before))
        record_path(
            f"{plan.name}, back",
            order,
            way_back.recorded_timelines,
            rejected=len(older.rejected),
            changed=after_back.differs_from(before),
        )
        yield Journey(
            order,
            (first, second),
            way_back,
            before,
            between,
            after,
            after_back,
            (tcp_before, tcp_between, tcp_after, tcp_back),
            tcp_restarted,
            done["definitions"],
            older,
            forced,
            done["charts"],
            version_after,
            version_back,
        )


@pytest.fixture
def definitions_last(journey):
    """Skips the other order."""
    check_order(journey.order, "definitions last")


@pytest.fixture
def needs_definitions(definitions_last, version_upgrade_plan):
    """Skips where the newer version starts with the older definitions."""
    version_upgrade_plan.check_waits_for_definitions()


@pytest.fixture
def tcp_route_is_found(journey, version_upgrade_plan):
    """Skips where the newer version starts without the definition of TCPRoute that it looks for."""
    version_upgrade_plan.check_tcp_route_found(journey.order)


def test_every_pod_is_of_the_version(journey, version_upgrade_plan):
    """After an Envoy Gateway or Istio upgrade replacing CRD {journey}, all its pods run the newer version, and after
    the downgrade the older version."""
    plan = version_upgrade_plan

    assert journey.version_after == plan.version(plan.after)
    assert journey.version_back == plan.version(plan.before)


@ONE
def test_newer_version_needs_its_definitions(journey, needs_definitions):
    """Without the new CRDs, Envoy Gateway 1.8 is in CrashLoopBackOff during an Envoy Gateway or Istio upgrade with CRD
    {journey}, but no request fails."""
    new, kept, outside = journey.there[0].timelines

    assert "CrashLoopBackOff" in journey.stuck
    assert "no matches for kind" in journey.stuck
    assert (new.lost, kept.lost, outside.lost) == ((), (), ()), journey.there[0].text


@ONE
def test_upgrade_loses_no_open_connection(journey):
    """In each step of an Envoy Gateway or Istio upgrade replacing CRD {journey}, at most 2 requests on new connections
    fail, and none on keep-alive connections or through the ingress."""
    (new, kept, outside), (new_then, kept_then, outside_then) = (step.timelines for step in journey.there)

    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert len(new_then.lost) <= NEW_CONNECTIONS, timeline_as_text(new_then)
    assert (kept.lost, outside.lost, kept_then.lost, outside_then.lost) == ((), (), (), ()), (
        journey.there[0].text + journey.there[1].text
    )


@ONE
def test_way_back_loses_no_open_connection(journey):
    """In the downgrade after an Envoy Gateway or Istio upgrade replacing CRD {journey}, at most 2 requests on new
    connections fail, and none on keep-alive connections or through the ingress."""
    new, kept, outside = journey.back.timelines

    assert len(new.lost) <= NEW_CONNECTIONS, timeline_as_text(new)
    assert (kept.lost, outside.lost) == ((), ()), journey.back.text


def test_quota_is_enforced_by_both_versions(journey):
    """A rate limit of 3 per user and hour is Accepted and enforced before an Envoy Gateway or Istio upgrade with CRD
    {journey}, after each step, and after the downgrade."""
    times = (journey.before, journey.between, journey.after, journey.after_back)

    assert [time.quota for time in times] == [QUOTA] * 4
    assert [time.flags for time in times] == [FLAGS] * 4
    assert [time.accepted["quota"] for time in times] == [True] * 4


@pytest.mark.keeps("lua")
def test_script_is_enforced_by_both_versions(journey):
    """A Lua script has the same effect and the same Accepted condition before an Envoy Gateway or Istio upgrade with
    CRD {journey}, after each step, and after the downgrade."""
    before = journey.before
    later = (journey.between, journey.after, journey.after_back)

    assert [time.script for time in later] == [before.script] * 3
    assert [time.reached for time in later] == [before.reached] * 3
    assert [time.accepted["script"] for time in later] == [before.accepted["script"]] * 3


@pytest.mark.changes("lua")
def test_upgrade_rejects_scripts(journey):
    """After an upgrade to Envoy Gateway 1.9 replacing CRD {journey}, a route with a Lua script returns 500, and works
    again after the downgrade."""
    before, after, back = journey.before, journey.after, journey.after_back

    assert (before.script, before.reached, before.accepted["script"]) == ([418, 200], [0, 1], True)
    assert (after.script, after.reached, after.accepted["script"]) == ([500, 500], [0, 0], False)
    assert (back.script, back.reached, back.accepted["script"]) == ([418, 200], [0, 1], True)


@pytest.mark.changes("policy_routing_type")
def test_upgrade_enforces_routing_type(journey):
    """With a BackendTrafficPolicy of routingType Service, ingress requests pass the waypoint only between the upgrade
    to Envoy Gateway 1.8 replacing CRD {journey} and the downgrade."""
    before, after, back = journey.before, journey.after, journey.after_back

    assert (before.traversed, after.traversed, back.traversed) == ([0, 0, 0], [1, 1, 1], [0, 0, 0])
    assert [time.accepted["routing"] for time in (before, after, back)] == [True, True, True]


@pytest.mark.keeps("policy_routing_type")
def test_routing_stays_as_it_is(journey):
    """Ingress requests take the same path to a Service with a waypoint before an Envoy Gateway or Istio upgrade with
    CRD {journey}, after each step, and after the downgrade."""
    times = (journey.before, journey.between, journey.after, journey.after_back)

    assert [time.traversed for time in times] == [journey.before.traversed] * 4
    assert [time.accepted["routing"] for time in times] == [True] * 4


@CONNECTIONS
def test_tcp_route_is_served_by_both_versions(journey, tcp_route_is_found):
    """A TCPRoute is Accepted and forwards connections before an Envoy Gateway or Istio upgrade replacing CRD
    {journey}, after each step, and after the downgrade."""
    assert journey.tcp == (SERVED,) * 4
    assert journey.tcp_restarted == SERVED


@CONNECTIONS
@pytest.mark.changes("watched_tcp_route")
def test_tcp_route_is_served_after_a_restart(journey, definitions_last):
    """After an upgrade to Envoy Gateway 1.9 replacing CRD {journey}, an Accepted TCPRoute forwards no connection until
    Envoy Gateway is restarted."""
    assert journey.tcp == (SERVED, NOT_SERVED, NOT_SERVED, SERVED)
    assert journey.tcp_restarted == SERVED


def test_definitions_are_replaced(journey, version_upgrade_plan):
    """An Envoy Gateway or Istio upgrade replacing CRD {journey} replaces all Gateway API CRDs by those of the newer
    version."""
    assert journey.definitions.rejected == {}
    assert journey.definitions.versions == version_upgrade_plan.definitions(version_upgrade_plan.after)


@pytest.mark.changes("safe_upgrades_policy")
def test_older_definitions_are_rejected(journey):
    """After an Envoy Gateway or Istio upgrade replacing CRD {journey}, Gateway API CRDs of a version before v1.5 are
    rejected by the safe-upgrades policy or because of their stored versions."""
    assert journey.older.rejected_by == {SAFE_UPGRADES, STORED}
    assert journey.older.versions == journey.definitions.versions


@pytest.mark.changes("stored_route_versions")
def test_stored_versions_keep_definitions(journey):
    """After an Envoy Gateway or Istio upgrade replacing CRD {journey} and without the safe-upgrades policy, the API
    server rejects older Gateway API CRDs that lack a stored version."""
    assert journey.forced.rejected_by == {STORED}
