"""A Service of another namespace is denied the waypoint.

Manifest: manifests/isolation/cross_namespace.yaml    Article: none (stack-facts 0.4)
"""

import pytest

pytestmark = [pytest.mark.extended("Cross-namespace attachment"), pytest.mark.needs("waypoint kinds")]


def test_attachment_is_denied(waypoint, applied, refusal):
    """istiod refuses to bind it, and says why: the waypoint's listeners do not allow its namespace."""
    condition = refusal("Service/elsewhere/guest", "istio.io/WaypointBound")

    assert condition.reason == "AttachmentDenied"
    assert "default/waypoint" in condition.message


def test_ztunnel_has_no_waypoint_for_it(waypoint, applied, refusal, ztunnel):
    """No node's ztunnel sends its calls to the waypoint."""
    refusal("Service/elsewhere/guest", "istio.io/WaypointBound")

    destinations = {node: view.waypoint_of("guest", "elsewhere") for node, view in ztunnel.views().items()}

    assert destinations
    assert set(destinations.values()) == {""}
