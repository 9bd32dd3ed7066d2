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
    """An HTTPRoute match on path, method, header and query returns 404 to a request that lacks any one of them."""
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
    """An HTTPRoute sets, adds and removes request headers, as the backend receives them, and sets response headers."""
    trial = routed([place.get("/edited", host=HOST, x_set="by-client", x_removed="secret")])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [200], [404])
    assert trial.treatment.header("x-set") == ["by-route"]
    assert trial.treatment.header("x-added") == ["more"]
    assert trial.treatment.header("x-removed") == [None]
    assert trial.treatment.answers.header("x-answered") == ["by-route"]


@pytest.mark.feature("HTTPRoute: redirect")
def test_redirect_is_envoys_answer(routed, place):
    """An HTTPRoute redirect returns 301 with the new host and path, and the backend receives nothing."""
    trial = routed([place.get("/moved/a", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [301], [404])
    location = urlsplit(trial.treatment.answers[0].header("location"))
    assert (location.hostname, location.path) == ("elsewhere.example", "/new/a")
    assert trial.treatment.details == ["direct_response"]
    assert trial.treatment.reached == [0]


@pytest.mark.feature("HTTPRoute: rewrite")
def test_path_and_host_are_rewritten(routed, place):
    """With an HTTPRoute rewrite the backend receives the new host and path."""
    trial = routed([place.get("/rewritten/a", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [200], [404])
    assert [(one.host, one.path) for one in trial.treatment.received[0]] == [("inner.example", "/inner/a")]


@pytest.mark.feature("HTTPRoute: mirror")
def test_mirror_receives_a_copy(routed, place, here):
    """With an HTTPRoute mirror both backends receive each request, and the client gets one response."""
    trial = routed([place.get("/mirrored", host=HOST)] * 3)

    assert trial.control.statuses == trial.recovery.statuses == [404] * 3
    assert trial.treatment.statuses == [200] * 3
    assert [sorted(one.backend for one in each) for each in trial.treatment.received] == [["echo-v1", "echo-v2"]] * 3
    assert {line.upstream_cluster for line in trial.treatment.lines} == {here("httproute/default/features/rule/3")}


@pytest.mark.feature("HTTPRoute: weights")
def test_weights_divide_requests(routed, place):
    """With weights 80 and 20 the share of 150 requests at each backend lies within binomial bounds of error 1e-6."""
    least, most = bounds(150, 0.8, error=1e-6)

    trial = routed([place.get("/weighted", host=HOST)] * 150)

    assert trial.treatment.statuses == [200] * 150
    assert set(trial.treatment.backends) == {"echo-v1", "echo-v2"}
    assert least <= trial.treatment.backends.count("echo-v1") <= most


@pytest.mark.feature("HTTPRoute: request timeout")
def test_timeout_of_the_route(routed, place):
    """With an HTTPRoute timeout of 300 ms a request that takes 1 s returns 504 with flag UT."""
    trial = routed([place.get("/late?delay=1s", host=HOST)])

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([404], [504], [404])
    assert trial.treatment.flags == ["UT"]
    assert trial.treatment.reached == [1]
