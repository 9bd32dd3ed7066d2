"""A page request is followed hop by hop: which pod carried it, under which identity and protocol, with which result.

Manifest: manifests/journey/productpage.yaml    Article: "This is how traffic flows"
"""

import pytest

from harness.evidence.journey import (
    first_journey_as_text,
    journey_as_text,
    protocols_used,
    source_accounts,
    workloads_passed,
)
from harness.experiments.journey_collector import REVIEWS_V1, required_hops
from harness.http_exchange import get
from harness.waits import envoy_config

pytestmark = pytest.mark.extended("Journeys")
IDENTITIES = ["bookinfo-ingress", "bookinfo-productpage", "bookinfo-reviews", "waypoint"]
MANY = 1_000


@pytest.fixture(scope="module")
def page(applied, kube, ingress, ingress_gateway, here):
    """A page request with the host of this module's route, once the ingress has that route."""
    envoy_config.wait_for_route(ingress_gateway, here("httproute/default/journey/"))
    return get("/productpage", host="journey.example")


@pytest.fixture(scope="module")
def page_journeys(page, ingress, journey_collector, current_time):
    """Twelve page requests, each traced; about two in three come from reviews versions that call ratings."""
    since = current_time()
    answers = ingress.send_in_turn(page, 12)
    assert answers.statuses == [200] * 12
    found = journey_collector.wait_for_journeys(answers, since, via=required_hops)
    return [journey for journey in found if "waypoint" in workloads_passed(journey)]


def test_page_passes_every_station(page_journeys):
    """A request for the product page with ratings passes the ingress, productpage, reviews v2 or v3, the waypoint
    and ratings, in this order."""
    reviews = {tuple(workloads_passed(journey)) for journey in page_journeys}

    assert reviews
    assert reviews <= {
        ("bookinfo-ingress", "productpage-v1", version, "waypoint", "ratings-v1")
        for version in ("reviews-v2", "reviews-v3")
    }, first_journey_as_text(page_journeys)


def test_every_mesh_leg_is_hbone(page_journeys):
    """All four mesh connections of a product page request use HBONE, and ztunnel logs each of them without error at
    source and destination."""
    states = {journey.verdict.outcome: journey_as_text(journey) for journey in page_journeys}

    assert {frozenset(protocols_used(journey)) for journey in page_journeys} == {frozenset({"HBONE"})}, states
    assert list(states) == ["held"], states


def test_each_leg_bears_its_callers_identity(page_journeys):
    """ztunnel logs every connection of a product page request, at source and destination, with the SPIFFE identity
    of the pod that opened it."""
    connections = {tuple(account for _, account in source_accounts(journey)) for journey in page_journeys}

    assert connections == {tuple(identity for identity in IDENTITIES for _ in range(2))}, journey_as_text(
        page_journeys[0]
    )


def test_proxies_answered(page_journeys):
    """Ingress and waypoint both log a product page request with status 200 and no response flag."""
    hops = {
        (hop.kind, hop.status, hop.flags) for journey in page_journeys for hop in journey.hops if hop.status.isdigit()
    }

    assert hops == {("ingress", "200", "-"), ("waypoint", "200", "-")}, first_journey_as_text(page_journeys)


@pytest.mark.needs("many")
@pytest.mark.timeout(600)
def test_a_thousand_journeys_are_complete(page, ingress, journey_collector, current_time):
    """Each of 1,000 product page requests is found in the logs of every hop, and only those to reviews v1 do not
    pass the waypoint."""
    since = current_time()
    answers = ingress.send_in_turn(page, MANY)

    found = journey_collector.wait_for_journeys(answers, since, via=required_hops, within=120)
    passed = [journey.id for journey in found if "waypoint" in workloads_passed(journey)]

    assert answers.statuses == [200] * MANY
    assert [journey_as_text(journey) for journey in found if not journey.verdict.held] == []
    assert passed == answers.without_text(REVIEWS_V1).ids
    assert len(passed) > MANY / 2, "two in three pages are of v2 and v3"
