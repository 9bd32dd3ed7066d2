"""CORS: which other origins the responses allow.

Manifest: manifests/browsers/cors.yaml    Article: none; CORS is among its reasons for Envoy Gateway
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "SecurityPolicy/default/cors"
OURS, OTHER = "https://shop.example", "https://evil.example"
ALLOWED = "access-control-allow-origin"


@pytest.mark.feature("CORS preflight")
def test_preflight_is_answered(tries, place, here):
    """At the {place}, a SecurityPolicy with CORS makes Envoy answer preflight requests, with header
    access-control-allow-origin only for the allowed origin."""
    ask = {"method": "OPTIONS", "access_control_request_method": "PUT"}
    preflights = [place.get(origin=OURS, **ask), place.get(origin=OTHER, **ask)]

    trial = tries.policy(
        place, "browsers/cors.yaml", here(POLICY), preflights, lambda answer: bool(answer.header(ALLOWED))
    )

    assert trial.treatment.answers.header(ALLOWED) == [OURS, None]
    assert trial.treatment.answers[0].header("access-control-allow-methods") == "GET, PUT"
    assert trial.treatment.answers[0].header("access-control-max-age") == "600"
    assert trial.treatment.reached == [0, 0]
    assert trial.control.reached == trial.recovery.reached == [1, 1]
    assert set(trial.control.answers.header(ALLOWED) + trial.recovery.answers.header(ALLOWED)) == {None}


@pytest.mark.feature("CORS request")
def test_answer_names_the_allowed_origin(tries, place, here):
    """At the {place}, a SecurityPolicy with CORS adds header access-control-allow-origin to responses for the
    allowed origin only."""
    requests = [place.get(origin=OURS), place.get(origin=OTHER)]

    trial = tries.policy(
        place, "browsers/cors.yaml", here(POLICY), requests, lambda answer: bool(answer.header(ALLOWED))
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.answers.header(ALLOWED) == [OURS, None]
    assert trial.treatment.reached == [1, 1]
    assert set(trial.control.answers.header(ALLOWED) + trial.recovery.answers.header(ALLOWED)) == {None}
