"""ztunnel and Envoy Gateway are upgraded by `helm upgrade` under load, and then upgraded back.

Promise: no request is lost, except occasionally a new connection that arrives while ztunnel's old pod hands over to the
new one (tests/recordings/ztunnel-handover). Pods are replaced node by node, as by `kubectl rollout restart`.
Certificates with a short lifetime rotate under load, and no request is lost: open connections keep their certificate,
and new ones use the new certificate. With `failClosed` Envoy returns 500 when the rate limit service does not answer,
and enforces the limit within 30 s of the service's return.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import helm_upgrade, restarts
from harness.experiments import workload_certificates
from harness.http_exchange import Answers, get, unique_name
from harness.install.releases import with_values
from harness.load.background_load import BackgroundLoad
from harness.load.outage_budgets import LIMIT_AFTER_READY
from harness.load.recorded_losses import HANDOVER
from harness.load.timeline_text import timeline_as_text
from harness.waits import envoy_config, policy_propagation, responses

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load", "upgrade", "disruptive")]
REQUEST, HEALTH = get("http://ratings:9080/ratings/0"), get("/health")
UNKNOWN = get("http://details:9080/details/0")  # ztunnel has no connection to it from this client yet
UPGRADED, TURNED, BACK = "helm upgrade: ztunnel, Envoy Gateway", "certificates rotated", "helm upgrade back"
AWAY = "rate limit service down, failClosed"
# istiod dates a certificate two minutes back, and ztunnel turns it at half its life: after 10 s here.
SHORT_LIVED = {"env": {"SECRET_TTL": "140s"}}
# A chart's pods are not replaced when its configuration changes: the annotation does that.
FAIL_CLOSED = {
    "config": {"envoyGateway": {"rateLimit": {"failClosed": True}}},
    "deployment": {"pod": {"annotations": {"mesh-e2e/upgraded": "yes"}}},
}
IN_USE = {"mesh-client", "waypoint", "bookinfo-ratings", "bookinfo-ingress", "bookinfo-productpage"}


@dataclass(frozen=True)
class Upgraded:
    """The load; ztunnel's certificates before and after their rotation; responses of a Service not called before."""

    flow: BackgroundLoad
    turn: workload_certificates.Rotation
    fresh: Answers


@pytest.fixture(scope="module")
def sources(new_connections, keepalive, ingress_load, waypoint, ingress_gateway):
    """New and keep-alive connections through the waypoint, and a client of the ingress."""
    return (
        new_connections(REQUEST, proxy=waypoint),
        keepalive(REQUEST, proxy=waypoint),
        ingress_load(HEALTH, proxy=ingress_gateway),
    )


@pytest.fixture(scope="module")
def releases_before(helm_releases):
    """The two releases as installed."""
    return {name: helm_releases[name] for name in ("ztunnel", "gateway-helm")}


@pytest.fixture(scope="module")
def upgraded_stack(load, sources, cluster, kube, releases_before, ztunnel, mesh_client):
    """Both releases upgraded under load, and ztunnel's certificates rotated."""
    ztunnel_, gateway = (
        with_values(releases_before["ztunnel"], SHORT_LIVED),
        with_values(releases_before["gateway-helm"], FAIL_CLOSED),
    )
    with helm_upgrade.while_releases_change(cluster, kube, releases_before):
        with load(*sources) as background_load:
            with background_load.event(UPGRADED, "at most two new connections"):
                helm_upgrade.upgrade_releases(cluster, kube, ztunnel_, gateway)
            with background_load.event(TURNED, "no request is lost"):
                turn = workload_certificates.wait_for_rotation(
                    ztunnel, workload_certificates.read_certificates(ztunnel)
                )
                fresh = mesh_client.send_in_turn(UNKNOWN, 3)
        yield Upgraded(background_load, turn, fresh)


@pytest.fixture
def quota_spent(
    upgraded_stack, rate_limit_window, applying, monotonic_clock, ingress, ingress_gateway, rate_limit_service
):
    """A request of a user over quota, which returned 429 and does so for the rest of the hour."""
    with applying("resilience/limiter.yaml"):
        policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=monotonic_clock())
        envoy_config.wait_for_fail_closed(ingress_gateway)
        policy_propagation.wait_for_rate_limit_service(ingress, rate_limit_service, "/health")
        request = get("/health", x_user_id=unique_name("spent"))
        assert ingress.send_in_turn(request, 2).statuses == [200, 429]
        yield request


def test_upgrade_loses_nothing_that_stands(upgraded_stack):
    """In a Helm upgrade of ztunnel and Envoy Gateway, at most 2 requests on new connections fail, and no other
    request."""
    new_connections, keepalive, ingress_load = (
        timeline.until_next_event(upgraded_stack.flow.events[0]) for timeline in upgraded_stack.flow.timelines
    )

    assert len(new_connections.lost) <= HANDOVER.allowed(), f"{HANDOVER}\n{timeline_as_text(new_connections)}"
    assert (keepalive.lost, ingress_load.lost) == ((), ()), upgraded_stack.flow.text
    assert (new_connections.flags, keepalive.flags, ingress_load.flags) == ({"-"}, {"-"}, {"-"}), (
        upgraded_stack.flow.text
    )


def test_turning_certificates_loses_nothing(upgraded_stack):
    """No request fails while ztunnel rotates the workload certificates in use."""
    assert upgraded_stack.turn.rotated_accounts >= IN_USE
    assert upgraded_stack.fresh.statuses == [200, 200, 200]
    assert [
        timeline.until_next_event(upgraded_stack.flow.events[1]).lost for timeline in upgraded_stack.flow.timelines
    ] == [
        (),
        (),
        (),
    ], upgraded_stack.flow.text


def test_limit_fails_closed_when_asked(
    upgraded_stack, load, ingress_load, quota_spent, manifests, ingress, ingress_gateway
):
    """With failClosed, while the rate limit service is down, a user over the limit gets 500, and a request without
    a limit gets 200."""
    with load(ingress_load(quota_spent, proxy=ingress_gateway, accepted_statuses=(429,))) as background_load:
        with (
            background_load.event(AWAY, "500 while down, limited again within 30 s"),
            restarts.while_scaled_to_zero(manifests, restarts.LIMITER, grace=False),
        ):
            responses.wait_for_response(ingress, quota_spent, status=500)
            refused = ingress.send_in_turn(quota_spent, 3)
            nameless = ingress.send_in_turn(HEALTH, 1)
        responses.wait_for_response(ingress, quota_spent, status=429)

    assert (refused.statuses, nameless.statuses) == ([500, 500, 500], [200])
    assert set(background_load.timeline.statuses) == {"429", "500"}
    recovered = background_load.timeline.seconds_to_recover(AWAY)
    assert recovered <= LIMIT_AFTER_READY.seconds, f"{LIMIT_AFTER_READY}\n{background_load.text}"


def test_upgrade_back_loses_nothing_that_stands(upgraded_stack, load, sources, releases_before, cluster, kube, ztunnel):
    """In a Helm upgrade of ztunnel and Envoy Gateway back to the previous values, at most 2 requests on new
    connections fail, and no other request."""
    with load(*sources) as background_load, background_load.event(BACK, "at most two new connections"):
        helm_upgrade.upgrade_releases(cluster, kube, *releases_before.values())
    new_connections, keepalive, ingress_load = background_load.timelines

    assert len(new_connections.lost) <= HANDOVER.allowed(), f"{HANDOVER}\n{timeline_as_text(new_connections)}"
    assert (keepalive.lost, ingress_load.lost) == ((), ()), background_load.text
    assert (new_connections.flags, keepalive.flags, ingress_load.flags) == ({"-"}, {"-"}, {"-"}), background_load.text
    assert workload_certificates.read_hours_left(ztunnel) > 1
