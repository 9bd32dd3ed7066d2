"""A route to a backend in another namespace, without and with a ReferenceGrant.

Manifest: manifests/routes/reference.yaml (reference_granted.yaml)    Article: none
"""

from dataclasses import replace

import pytest

from harness.components import Echo
from harness.waits import rollouts
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST, ROUTE = "referring.example", "HTTPRoute/default/referring"


@pytest.fixture(scope="module")
def elsewhere(applied, kube, here):
    """The backend in the other namespace, ready."""
    rollouts.wait_for_rollout(kube, here("Deployment/elsewhere/echo-elsewhere"))
    return Echo(kube, "app=echo-elsewhere", namespace=here("elsewhere"))


@pytest.mark.feature("ReferenceGrant")
def test_backend_must_be_granted(tries, place, elsewhere, here):
    """At the {place}, an HTTPRoute to a Service in another namespace returns 500 without a ReferenceGrant, and 200
    with one."""
    there = replace(place, echo=elsewhere)
    wait_for_response(there.client, there.get(host=HOST), status=500)

    trial = tries.policy(there, "routes/reference_granted.yaml", here(ROUTE), [there.get(host=HOST)] * 2, 200)

    assert trial.control.statuses == trial.recovery.statuses == [500, 500]
    assert trial.control.details == ["direct_response"] * 2
    assert trial.control.reached == trial.recovery.reached == [0, 0]
    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.backends == ["echo-elsewhere-v1"] * 2
