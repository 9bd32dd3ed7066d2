"""Gateways that have the name of an application's ConfigMap or Deployment, in Envoy Gateway's GatewayNamespace mode.

Manifest: manifests/ingress_and_waypoint/names.yaml (names_settings.yaml, names_workload.yaml: the Gateways)
Article: none; docs/findings.md, "A Gateway can take over a ServiceAccount"
"""

import pytest

from harness.waits.gateways import wait_for_no_proxy_pods
from harness.waits.object_owner_and_absence import wait_for_absence, wait_for_owner
from harness.waits.rollouts import wait_for_rollout
from harness.waits.status import wait_for_condition, wait_for_false_condition

pytestmark = [
    pytest.mark.needs("real gateway"),
    pytest.mark.usefixtures("applied"),
    pytest.mark.timeout(300, func_only=True),
]
SETTINGS, WORKLOAD = "settings-of-an-application", "workload-of-an-application"


@pytest.mark.feature("Gateway named like a ConfigMap", place="waypoint", means="broken", before="1.9")
def test_configuration_is_taken_over_and_deleted(applying, kube, here):
    """With Envoy Gateway before 1.9, a Gateway with the same name as an existing ConfigMap becomes its owner, and
    deleting the Gateway deletes the ConfigMap."""
    settings = here(f"ConfigMap/default/{SETTINGS}")
    with applying("ingress_and_waypoint/names_settings.yaml"):
        owners = wait_for_owner(kube, settings)
        wait_for_condition(kube, here(f"Gateway/default/{SETTINGS}"), "Accepted", about="")
        keys = set(kube.get(settings)["data"])
    wait_for_absence(kube, settings)
    wait_for_no_proxy_pods(kube, SETTINGS)

    assert owners == [f"Gateway/{SETTINGS}"]
    assert keys > {"color"}
    assert kube.find(settings) is None


@pytest.mark.feature("Gateway named like a ConfigMap", place="waypoint", since="1.9")
def test_configuration_is_left_alone(applying, kube, here):
    """With Envoy Gateway 1.9 and later, a Gateway with the same name as an existing ConfigMap is not Programmed,
    and the ConfigMap remains unchanged."""
    settings = here(f"ConfigMap/default/{SETTINGS}")
    with applying("ingress_and_waypoint/names_settings.yaml"):
        wait_for_owner(kube, here(f"ServiceAccount/default/{SETTINGS}"))
        refused = wait_for_false_condition(kube, here(f"Gateway/default/{SETTINGS}"), "Programmed")
        owners = kube.get(settings)["metadata"].get("ownerReferences", [])
    wait_for_no_proxy_pods(kube, SETTINGS)

    assert refused.status == "False"
    assert owners == []
    assert kube.get(settings)["data"] == {"color": "blue"}


@pytest.mark.feature("Gateway named like a Deployment", place="waypoint")
def test_workload_is_left_alone(applying, kube, here):
    """A Gateway with the same name as an existing Deployment is not Programmed, and the Deployment remains
    unchanged."""
    workload = here(f"Deployment/default/{WORKLOAD}")
    wait_for_rollout(kube, workload)
    with applying("ingress_and_waypoint/names_workload.yaml"):
        wait_for_owner(kube, here(f"ServiceAccount/default/{WORKLOAD}"))
        refused = wait_for_false_condition(kube, here(f"Gateway/default/{WORKLOAD}"), "Programmed")
        during = kube.get(workload)["metadata"]
    after = kube.get(workload)["metadata"]
    wait_for_no_proxy_pods(kube, WORKLOAD)

    assert refused.status == "False"
    assert (during.get("ownerReferences", []), during["generation"]) == ([], 1)
    assert (after["uid"], after["generation"]) == (during["uid"], 1)
