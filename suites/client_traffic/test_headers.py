"""What Envoy does with a client's headers.

Manifest: manifests/client_traffic/headers.yaml    Article: none; ClientTrafficPolicy is among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY, MANIFEST = "ClientTrafficPolicy/default/headers", "client_traffic/headers.yaml"


@pytest.fixture
def sent(tries, place, here):
    """`sent(requests)`: requests before, under and after the policy."""
    return lambda *requests: tries.policy(place, MANIFEST, here(POLICY), requests, has_envoy_headers, probe=place.get())


def has_envoy_headers(answer):
    return answer.header("x-envoy-upstream-service-time") is not None


@pytest.mark.feature("Envoy headers")
def test_envoy_headers_are_shown(sent, place):
    """At the {place}, responses carry header x-envoy-upstream-service-time only with a ClientTrafficPolicy's
    enableEnvoyHeaders."""
    trial = sent(place.get())

    shown = [has_envoy_headers(arm.answers[0]) for arm in (trial.control, trial.treatment, trial.recovery)]
    assert shown == [False, True, False]
    assert trial.treatment.statuses == [200]


@pytest.mark.feature("Request id of the client")
def test_request_id_is_kept(sent, place):
    """At the {place}, the backend receives the client's x-request-id with a ClientTrafficPolicy's requestID
    Preserve, and a new one without it."""
    trial = sent(place.get())

    kept = [arm.header("x-request-id") == arm.answers.ids for arm in (trial.control, trial.treatment, trial.recovery)]
    assert kept == [False, True, False]
    assert [line.request_id for line in trial.treatment.lines] == trial.treatment.answers.ids


@pytest.mark.feature("Early request header")
def test_early_header_is_set(sent, place):
    """At the {place}, a ClientTrafficPolicy's early request header replaces the client's value of that header at
    the backend."""
    trial = sent(place.get(x_early="by-client"))

    values = [arm.header("x-early") for arm in (trial.control, trial.treatment, trial.recovery)]
    assert values == [["by-client"], ["yes-early"], ["by-client"]]
    assert trial.treatment.statuses == [200]
