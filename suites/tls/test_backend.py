"""BackendTLSPolicy at both places: TLS from Envoy to the backend, inside of the mesh's mTLS.

Manifest: manifests/tls/backend.yaml (backend_verified.yaml, backend_mismatched.yaml)    Article: none
"""

from dataclasses import replace

import pytest

from harness.components import Echo
from harness.waits import rollouts
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY, HOST = "BackendTLSPolicy/default/echo-tls", "over-tls.example"


@pytest.fixture(scope="module")
def backend(applied, kube, here):
    """The backend that serves TLS, ready."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/echo-tls"))
    return Echo(kube, "app=echo-tls", scheme="https")


@pytest.fixture
def there(place, backend):
    """Each place, with that backend; its route is there."""
    found = replace(place, echo=backend)
    wait_for_response(found.client, found.get(host=HOST), status=400)
    return found


@pytest.mark.feature("BackendTLSPolicy")
def test_backend_is_reached_over_tls(tries, there, here):
    """At the {place}, requests reach a TLS backend over TLS with a BackendTLSPolicy, and return 400 without one."""
    trial = tries.policy(there, "tls/backend_verified.yaml", here(POLICY), [there.get(host=HOST)] * 3, 200)

    assert trial.control.statuses == trial.recovery.statuses == [400, 400, 400]
    assert trial.control.reached == trial.recovery.reached == [0, 0, 0]
    assert trial.treatment.statuses == [200, 200, 200]
    assert [each[0].tls for each in trial.treatment.received] == [True, True, True]
    assert trial.past == [[200]] * 3


@pytest.mark.feature("BackendTLSPolicy")
def test_certificate_for_another_host_is_rejected(tries, there, here):
    """At the {place}, requests return 503 if the backend's certificate lacks the hostname of the BackendTLSPolicy."""
    trial = tries.policy(
        there, "tls/backend_mismatched.yaml", f"{here(POLICY)}-mismatched", [there.get(host=HOST)] * 3, 503
    )

    assert trial.control.statuses == trial.recovery.statuses == [400, 400, 400]
    assert (trial.treatment.statuses, trial.treatment.flags) == ([503, 503, 503], ["UF", "UF", "UF"])
    assert trial.treatment.reached == [0, 0, 0]
    assert trial.past == [[200]] * 3
