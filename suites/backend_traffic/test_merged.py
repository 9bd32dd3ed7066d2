"""A Gateway's policy and a route's, merged.

Manifest: manifests/backend_traffic/merged.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
MANIFEST, POLICY = "backend_traffic/merged.yaml", "BackendTrafficPolicy/default/merged"
LISTENERS = {"ingress": "bookinfo-ingress/ingress", "waypoint": "waypoint/ratings"}


@pytest.mark.feature("Merged policies of Gateway and route")
def test_both_policies_hold(tries, place, here):
    """At the {place}, a route policy with mergeType adds retries to the Gateway policy's response override: the
    backend receives 2 requests and the client 418."""
    listener = here(f"Gateway/default/{LISTENERS[place.name]}")

    trial = tries.policy(
        place, MANIFEST, here(POLICY), [place.get("/?status=503")], 418, condition="Merged", about=listener
    )

    assert (trial.control.statuses, trial.treatment.statuses, trial.recovery.statuses) == ([503], [418], [503])
    assert (trial.control.reached, trial.treatment.reached, trial.recovery.reached) == ([1], [2], [1])
    assert trial.past == [[503, 503]] * 3
