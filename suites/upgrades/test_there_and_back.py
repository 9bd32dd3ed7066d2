"""Envoy Gateway or Istio is upgraded to another version and back under load (UPGRADE_TO=eg-1.9.0).

Manifest: manifests/upgrades/there_and_back.yaml

Promise: new pods replace old ones one by one, as in a restart (docs/outages.md). Of Envoy Gateway the definitions come
first, as its documentation says; on the way back they stay, so the older version runs with newer definitions.
"""

from dataclasses import dataclass

import pytest

from harness.disruption import version_upgrade
from harness.http_exchange import Answers, get, unique_name
from harness.load.background_load import BackgroundLoad
from harness.load.recorded_losses import UNCLOSED
from harness.load.timeline_text import timeline_as_text
from harness.waits import policy_propagation, status

pytestmark = [pytest.mark.extended("Upgrades"), pytest.mark.needs("load", "upgrade", "disruptive", "rate limit")]
REQUEST, HEALTH = get("http://ratings:9080/ratings/0"), get("/health")
POLICY = "BackendTrafficPolicy/default/kept-quota"
QUOTA, FLAGS = [200, 200, 200, 429, 429], ["-", "-", "-", "RL", "RL"]
NEW_CONNECTIONS = UNCLOSED.allowed()  # of a client that opens one for each request, as in a rolling restart
PROMISE = "at most two new connections"
ONE = pytest.mark.one_witness("an upgrade replaces the proxies, and their access logs go with them")


@dataclass(frozen=True)
class Journey:
    """Load of the way there and back, a user's five responses at three times, definitions that replaced others."""

    there: BackgroundLoad
    back: BackgroundLoad
    quota_before: tuple[Answers, list[str]]
    quota_after: tuple[Answers, list[str]]
    quota_back: tuple[Answers, list[str]]
    accepted: tuple[bool, bool]
    versions_after: str
    versions_back: str


@pytest.fixture(scope="module")
def sources(new_connections, keepalive, ingress_load):
    """New and keep-alive connections through the waypoint, and a client of the ingress."""
    return new_connections(REQUEST), keepalive(REQUEST), ingress_load(HEALTH)


@pytest.fixture(scope="module")
def quota(
    rate_limit_window,
    applied,
    kube,
    ingress,
    ingress_gateway,
    proxy_of,
    rate_limit_service,
    monotonic_clock,
    current_time,
    here,
):
    """`quota()`: five responses to a new user, once the rate limit service counts, and their access log lines."""
    started = monotonic_clock()
    policy_propagation.wait_for_accepted(kube, here(POLICY), since=started)
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=started)

    def five():
        policy_propagation.wait_for_rate_limit_service(ingress, rate_limit_service, "/health")
        since = current_time()
        answers = ingress.send_in_turn(get("/health", x_user_id=unique_name("kept")), 5)
        return answers, [line.flags for line in proxy_of("bookinfo-ingress").wait_for_lines(answers, since)]

    return five


@pytest.fixture(scope="module")
def definitions(version_upgrade_plan, cluster, kube):
    """The definitions of the version after, applied over those of the version before."""
    if version_upgrade_plan.product != "eg":
        pytest.skip("an upgrade of Istio changes no definitions of the Gateway API")
    return version_upgrade.replace_definitions(cluster, kube, version_upgrade_plan, version_upgrade_plan.after)


@pytest.fixture(scope="module")
def journey(request, version_upgrade_plan, load, sources, quota, cluster, kube, here):
    """There and back, under load each time."""
    plan = version_upgrade_plan
    before = quota()
    if plan.product == "eg":
        request.getfixturevalue("definitions")
    with load(*sources) as there, there.event(f"upgrade of {plan.name}", PROMISE):
        version_upgrade.upgrade_product(cluster, kube, plan, plan.after)
    after, accepted, ran = quota(), status.read_condition(kube, here(POLICY), "Accepted").met, plan.running(kube)
    with load(*sources) as back, back.event(f"{plan.name}, and back", PROMISE):
        version_upgrade.upgrade_product(cluster, kube, plan, plan.before)
    accepted_back = status.read_condition(kube, here(POLICY), "Accepted").met
    return Journey(there, back, before, after, quota(), (accepted, accepted_back), ran, plan.running(kube))


def test_every_pod_is_of_the_version(journey, version_upgrade_plan):
    """After an upgrade the product's pods run the newer version, and after the downgrade the older one."""
    plan = version_upgrade_plan

    assert journey.versions_after == plan.version(plan.after)
    assert journey.versions_back == plan.version(plan.before)


@ONE
def test_upgrade_loses_no_open_connection(journey):
    """An upgrade fails at most 2 new connections, and no request on keep-alive connections or through the ingress."""
    anew, kept, outside = journey.there.timelines

    assert len(anew.lost) <= NEW_CONNECTIONS, timeline_as_text(anew)
    assert (kept.lost, outside.lost) == ((), ()), journey.there.text


@ONE
def test_way_back_loses_no_open_connection(journey):
    """A downgrade fails at most 2 new connections, and no request on keep-alive connections or through the ingress."""
    anew, kept, outside = journey.back.timelines

    assert len(anew.lost) <= NEW_CONNECTIONS, timeline_as_text(anew)
    assert (kept.lost, outside.lost) == ((), ()), journey.back.text


def test_quota_is_enforced_by_both_versions(journey):
    """A user's hourly quota of 3 is Accepted and enforced before an upgrade, after it and after the downgrade."""
    before, after, back = journey.quota_before, journey.quota_after, journey.quota_back

    assert (before[0].statuses, after[0].statuses, back[0].statuses) == (QUOTA, QUOTA, QUOTA)
    assert (before[1], after[1], back[1]) == (FLAGS, FLAGS, FLAGS)
    assert journey.accepted == (True, True)


def test_definitions_are_replaced(definitions, version_upgrade_plan):
    """The Gateway API definitions of the newer version replace all of those of the older version."""
    api = version_upgrade_plan.after.gateway_api

    assert definitions.refused == {}
    assert definitions.bundles == {f"v{api.bundle} {api.channel}"}


def test_older_definitions_are_rejected(journey, definitions, version_upgrade_plan, cluster, kube):
    """Definitions from before v1.5 are rejected by the safe-upgrades admission policy, and the newer ones stay."""
    older = version_upgrade.replace_definitions(cluster, kube, version_upgrade_plan, version_upgrade_plan.before)

    assert older.refused
    assert {"safe-upgrades" in reason for reason in older.refused.values()} == {True}
    assert older.bundles == definitions.bundles
