"""A Gateway that has the name of an application's ServiceAccount, in Envoy Gateway's GatewayNamespace mode.

Manifest: manifests/ingress_and_waypoint/service_account.yaml (service_account_gateway.yaml: the Gateway)
Article: none; docs/findings.md, "A Gateway can take over a ServiceAccount"
"""

import pytest

from harness.waits.object_owner_and_absence import wait_for_absence, wait_for_owner
from harness.waits.status import wait_for_condition, wait_for_false_condition

pytestmark = [
    pytest.mark.needs("real gateway"),
    pytest.mark.usefixtures("applied"),
    pytest.mark.timeout(300, func_only=True),
]
NAME = "account-of-an-application"
ACCOUNT, GATEWAY = f"ServiceAccount/default/{NAME}", f"Gateway/default/{NAME}"


@pytest.mark.feature("Gateway named like a ServiceAccount", place="waypoint", means="broken", before="1.9")
def test_account_is_taken_over_and_deleted(applying, kube, here):
    """With Envoy Gateway before 1.9, a Gateway with the same name as an existing ServiceAccount becomes its owner,
    and deleting the Gateway deletes the ServiceAccount."""
    with applying("ingress_and_waypoint/service_account_gateway.yaml"):
        owners = wait_for_owner(kube, here(ACCOUNT))
        wait_for_condition(kube, here(GATEWAY), "Accepted", about="")
    wait_for_absence(kube, here(ACCOUNT))

    assert owners == [f"Gateway/{NAME}"]
    assert kube.find(here(ACCOUNT)) is None


@pytest.mark.feature("Gateway named like a ServiceAccount", place="waypoint", since="1.9")
def test_account_is_left_alone(applying, kube, here):
    """With Envoy Gateway 1.9 and later, a Gateway with the same name as an existing ServiceAccount is not
    Programmed, and the ServiceAccount remains."""
    with applying("ingress_and_waypoint/service_account_gateway.yaml"):
        refused = wait_for_false_condition(kube, here(GATEWAY), "Programmed")
        owners = kube.get(here(ACCOUNT))["metadata"].get("ownerReferences", [])

    assert refused.status == "False"
    assert owners == []
    assert kube.find(here(ACCOUNT)) is not None
