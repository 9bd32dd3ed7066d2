"""Envoy Gateway is in, and has taken the article's classes.

Manifest: manifests/install/envoy_gateway.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest


@pytest.mark.parametrize("name", ["eg-ingress", "eg-waypoint", "eg-waypoint-15008"])
def test_class_is_accepted(stack, says, name):
    """Envoy Gateway accepts the class in its current generation."""
    judgement = says(f"GatewayClass/{name}", "Accepted")

    assert judgement.state == "met", judgement.text
