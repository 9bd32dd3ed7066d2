"""Istio's RequestAuthentication behind Envoy Gateway's waypoint.

Manifest: manifests/istio_policies/authentication.yaml    Article: none; docs/findings.md, "Istio's L7 policies"
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "RequestAuthentication/default/tokens"


@pytest.mark.feature("RequestAuthentication of Istio", place="waypoint", means="ignored")
def test_bad_token_passes(tries, at_waypoint, here):
    """A RequestAuthentication for an Envoy Gateway waypoint has no effect: requests with an invalid token return
    200, and its status stays empty."""
    requests = [at_waypoint.get(authorization="Bearer not.a.token")] * 3

    seen = tries.ignored(at_waypoint, "istio_policies/authentication.yaml", requests, {here(POLICY): []})

    assert [arm.statuses for arm in seen.arms] == [[200, 200, 200]] * 3
    assert [arm.reached for arm in seen.arms] == [[1, 1, 1]] * 3
    assert seen.silent == [here(POLICY)]
