"""How Envoy normalizes a client's path.

Manifest: manifests/client_traffic/path.yaml    Article: none; ClientTrafficPolicy is among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "ClientTrafficPolicy/default/path"


@pytest.mark.feature("Path normalization")
def test_escaped_slash_is_rejected(tries, place, here):
    """At the {place}, a path with an escaped slash (%2F) returns 400 with a ClientTrafficPolicy's RejectRequest,
    and redirects with 307 without it."""
    trial = tries.policy(place, "client_traffic/path.yaml", here(POLICY), [place.get("/a%2Fb")], 400)

    assert trial.control.statuses == trial.recovery.statuses == [307]
    assert trial.control.answers.header("location") == ["/a/b"]
    assert (trial.treatment.statuses, trial.treatment.details) == ([400], ["path_normalization_failed"])
    assert (trial.control.reached, trial.treatment.reached) == ([0], [0])
