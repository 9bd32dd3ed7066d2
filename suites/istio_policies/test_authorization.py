"""Istio's AuthorizationPolicy behind Envoy Gateway's waypoint.

Manifest: manifests/istio_policies/authorization.yaml    Article: none; docs/findings.md, "Istio's L7 policies"
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
AT_SERVICE = "AuthorizationPolicy/default/deny-at-service"
AT_GATEWAY = "AuthorizationPolicy/default/deny-at-gateway"


@pytest.mark.feature("AuthorizationPolicy of Istio", place="waypoint", means="ignored")
def test_denial_is_accepted_and_ignored(tries, at_waypoint, here):
    """An AuthorizationPolicy that denies all requests at an Envoy Gateway waypoint has condition WaypointAccepted
    but no effect: requests return 200."""
    seen = tries.ignored(
        at_waypoint,
        "istio_policies/authorization.yaml",
        [at_waypoint.get()] * 3,
        {here(AT_SERVICE): ["WaypointAccepted"], here(AT_GATEWAY): ["WaypointAccepted"]},
    )

    assert [arm.statuses for arm in seen.arms] == [[200, 200, 200]] * 3
    assert [arm.reached for arm in seen.arms] == [[1, 1, 1]] * 3
