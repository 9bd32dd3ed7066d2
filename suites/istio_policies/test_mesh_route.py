"""A mesh route (HTTPRoute of a Service) behind Envoy Gateway's waypoint.

Manifest: manifests/istio_policies/mesh_route.yaml    Article: none; docs/findings.md, "Istio's L7 policies"
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
ROUTE, CONDITIONS = "HTTPRoute/default/mesh-route", ["Accepted", "ResolvedRefs", "ResolvedWaypoints"]


@pytest.mark.feature("Mesh route (HTTPRoute of a Service)", place="waypoint", means="ignored")
def test_route_is_accepted_and_ignored(tries, at_waypoint, here):
    """An HTTPRoute with a Service as its parent is Accepted, but its header filter has no effect at an Envoy
    Gateway waypoint."""

    seen = tries.ignored(
        at_waypoint, "istio_policies/mesh_route.yaml", [at_waypoint.get()] * 3, {here(ROUTE): CONDITIONS}
    )

    assert [arm.statuses for arm in seen.arms] == [[200, 200, 200]] * 3
    assert [arm.header("x-mesh-route") for arm in seen.arms] == [[None, None, None]] * 3
