"""What an HTTPRoute can do with a request, at both places.

Manifest: manifests/routes/http.yaml    Article: none; routes of the Gateway API are among its reasons
"""

from urllib.parse import urlsplit

import pytest

from harness.evidence.binomial import bounds

pytestmark = pytest.mark.needs("real gateway")
ROUTE, HOST = "HTTPRoute/default/features", "features.example"
NOWHERE = "route_not_found"


@pytest.fixture
def routed(tries, place, here):
    """`routed(requests)`: the requests before, under and after the route; the probe is a path that it serves."""
    probe = place.get("/edited", host=HOST)
    return lambda requests: tries.policy(place, "routes/http.yaml", here(ROUTE), requests, 200, probe=probe)


@pytest.mark.feature("HTTPRoute: matches")
def test_all_parts_of_a_match_count(routed, place):
    """At the {place}, an HTTPRoute match on path, method, header and query returns 404 for a request whose method,
    header or query does not match."""
    path, team = "/matched?color=green", "blue"
    requests = [
        place.get(path, host=HOST, x_team=team),
        place.get(path, host=HOST),
        place.get("/matched", host=HOST, x_team=team),
        place.get(path, host=HOST, method="POST", x_team=team),
    ]

    trial = routed(requests)

    assert trial.control.statuses == trial.recovery.statuses == [404] * 4
    assert trial.treatment.statuses == [200, 404, 404, 404]
    assert trial.treatment.details[1:] == [NOWHERE] * 3
    assert trial.treatment.backends == ["echo-v2", "", "", ""]


@pytest.mark.feature("HTTPRoute: header edits")
def test_headers_are_edited(routed, place):
    """At the {place}, HTTPRoute filters set, add and remove request headers that the backend receives, and set a
    response header."""
    trial = routed([place.get("/edited", host=HOST, x_set="by-client", x_removed="secret")])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [200], [404])
    assert trial.treatment.header("x-set") == ["by-route"]
    assert trial.treatment.header("x-added") == ["more"]
    assert trial.treatment.header("x-removed") == [None]
    assert trial.treatment.answers.header("x-answered") == ["by-route"]


@pytest.mark.feature("HTTPRoute: redirect")
def test_redirect_is_envoys_answer(routed, place):
    """At the {place}, an HTTPRoute redirect filter returns 301 with the new host and path, and no request reaches
    the backend."""
    trial = routed([place.get("/moved/a", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [301], [404])
    location = urlsplit(trial.treatment.answers[0].header("location"))
    assert (location.hostname, location.path) == ("elsewhere.example", "/new/a")
    assert trial.treatment.details == ["direct_response"]
    assert trial.treatment.reached == [0]


@pytest.mark.feature("HTTPRoute: rewrite")
def test_path_and_host_are_rewritten(routed, place):
    """At the {place}, with an HTTPRoute URL rewrite filter, the backend receives the new host and path."""
    trial = routed([place.get("/rewritten/a", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [200], [404])
    assert [(one.host, one.path) for one in trial.treatment.received[0]] == [("inner.example", "/inner/a")]


@pytest.mark.feature("HTTPRoute: mirror")
def test_mirror_receives_a_copy(routed, place, here):
    """At the {place}, with an HTTPRoute request mirror filter, both backends receive each request, and the client
    gets one response."""
    trial = routed([place.get("/mirrored", host=HOST)] * 3)

    assert trial.control.statuses == trial.recovery.statuses == [404] * 3
    assert trial.treatment.statuses == [200] * 3
    assert [sorted(one.backend for one in each) for each in trial.treatment.received] == [["echo-v1", "echo-v2"]] * 3
    assert {line.upstream_cluster for line in trial.treatment.lines} == {here("httproute/default/features/rule/3")}


@pytest.mark.feature("HTTPRoute: weights")
def test_weights_divide_requests(routed, place):
    """At the {place}, an HTTPRoute with weights 80 and 20 splits 150 requests between two backends in that ratio,
    within binomial bounds."""
    least, most = bounds(150, 0.8, error=1e-6)

    trial = routed([place.get("/weighted", host=HOST)] * 150)

    assert trial.treatment.statuses == [200] * 150
    assert set(trial.treatment.backends) == {"echo-v1", "echo-v2"}
    assert least <= trial.treatment.backends.count("echo-v1") <= most


@pytest.mark.feature("HTTPRoute: request timeout")
def test_timeout_of_the_route(routed, place):
    """At the {place}, with an HTTPRoute timeout of 300 ms, a request that the backend answers after 1 s returns 504
    with response flag UT."""
    trial = routed([place.get("/late?delay=1s", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [504], [404])
    assert trial.treatment.flags == ["UT"]
    assert trial.treatment.reached == [1]
