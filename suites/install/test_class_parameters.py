"""A GatewayClass whose parameters do not exist is not Accepted.

Manifest: manifests/install/class_parameters.yaml    Article: none; the control of test_envoy_gateway.py
"""

from harness.waits.status import wait_for_false_condition


def test_class_without_its_parameters_is_refused(applied, kube, here):
    """A GatewayClass whose EnvoyProxy does not exist has condition Accepted False with reason InvalidParameters,
    and the message names the missing EnvoyProxy."""
    condition = wait_for_false_condition(kube, here("GatewayClass/eg-parameters-missing"), "Accepted")

    named = here("default/nowhere") in condition.message
    assert (condition.reason, named) == ("InvalidParameters", True), condition.message
