"""A class whose parameters do not exist is refused: acceptance says something.

Manifest: manifests/install/class_parameters.yaml    Article: none; the control of test_envoy_gateway.py
"""

import pytest

pytestmark = pytest.mark.needs("disruptive")


def test_class_without_its_parameters_is_refused(applied, refusal):
    """Envoy Gateway refuses a class whose EnvoyProxy does not exist, and names what is missing."""
    condition = refusal("GatewayClass/eg-parameters-missing", "Accepted")

    assert condition.reason == "InvalidParameters"
    assert "default/nowhere" in condition.message
