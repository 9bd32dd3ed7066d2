"""Envoy Gateway is installed and accepts the article's GatewayClasses.

Manifest: manifests/install/envoy_gateway.yaml    Article: "Setting Up Envoy Gateway as the Ingress Gateway"
"""

import pytest


@pytest.mark.parametrize("name", ["eg-ingress", "eg-waypoint", "eg-waypoint-15008"])
def test_class_is_accepted(stack, read_condition, name, here):
    """GatewayClass {name} has condition Accepted True for its current generation."""
    judgement = read_condition(here(f"GatewayClass/{name}"), "Accepted")

    assert judgement.state == "met", judgement.text
