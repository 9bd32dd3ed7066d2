"""Istio's Telemetry behind Envoy Gateway's waypoint.

Manifest: manifests/istio_policies/telemetry.yaml    Article: none; docs/findings.md, "Istio's L7 policies"
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")


@pytest.mark.feature("Telemetry of Istio", place="waypoint", means="ignored")
def test_access_log_goes_on(tries, at_waypoint):
    """A Telemetry resource that disables access logs has no effect on an Envoy Gateway waypoint, which still logs
    each request."""

    seen = tries.ignored(at_waypoint, "istio_policies/telemetry.yaml", [at_waypoint.get()] * 3, {})

    assert [arm.statuses for arm in seen.arms] == [[200, 200, 200]] * 3
    assert [len(arm.lines) for arm in seen.arms] == [3, 3, 3]
