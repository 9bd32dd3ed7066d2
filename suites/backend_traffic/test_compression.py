"""Compression of answers.

Manifest: manifests/backend_traffic/compression.yaml
Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "BackendTrafficPolicy/default/compression"
LARGE = "/?size=4000&header=content-type:application/json"


@pytest.mark.feature("Compression")
def test_answer_is_compressed(tries, place, here):
    """At the {place}, a BackendTrafficPolicy with compression returns a gzip response to a client that accepts
    gzip, and an uncompressed one to a client that does not."""
    requests = [place.get(LARGE, accept_encoding="gzip"), place.get(LARGE, accept_encoding="identity")]

    trial = tries.policy(
        place,
        "backend_traffic/compression.yaml",
        here(POLICY),
        requests,
        lambda a: a.header("content-encoding") == "gzip",
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.answers.header("content-encoding") == ["gzip", None]
    assert [line.raw["bytes_sent"] == 4000 for line in trial.treatment.lines] == [False, True]
    assert trial.control.answers.header("content-encoding") == [None, None]
    assert trial.recovery.answers.header("content-encoding") == [None, None]
