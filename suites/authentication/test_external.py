"""External authorization over HTTP: a service that answers for or against each request.

Manifest: manifests/authentication/external.yaml (external_open.yaml, external_closed.yaml: nobody listens;
external_missing.yaml: no ready endpoint)
Article: none; authentication is among its reasons for Envoy Gateway
"""

import pytest

from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = pytest.mark.needs("real gateway")
POLICY, HOST = "SecurityPolicy/default/external", "checked.example"
ALLOWED, DENIED = "/?header=x-checked:yes", "/?status=403"


@pytest.mark.feature("External authorization over HTTP")
def test_service_decides(tries, place, here):
    """At the {place}, the external authorization service receives each request, and a request that it denies
    returns 403 and does not reach the backend."""
    requests = [place.get(DENIED, host=HOST), place.get(ALLOWED, host=HOST)]

    trial = tries.policy(place, "authentication/external.yaml", here(POLICY), requests, 403)

    assert trial.control.reached == trial.recovery.reached == [0, 0]
    assert trial.treatment.statuses == [403, 200]
    assert trial.treatment.flags == ["UAEX", "-"]
    assert [[one.backend for one in each] for each in trial.treatment.received] == [["echo-v2"], ["echo-v2", "echo-v1"]]
    assert trial.treatment.received[1][0].path == f"/check{ALLOWED}"
    assert trial.treatment.received[1][1].headers["x-checked"] == "yes"


@pytest.mark.feature("External authorization, failing closed")
def test_nobody_passes_without_the_service(tries, place, here):
    """At the {place}, requests return 403 with response flag UAEX when the external authorization service does not
    listen and failOpen is false."""
    trial = tries.policy(place, "authentication/external_closed.yaml", f"{here(POLICY)}-closed", [place.get()], 403)

    assert trial.control.statuses == trial.recovery.statuses == [200]
    assert (trial.treatment.statuses, trial.treatment.flags) == ([403], ["UAEX"])
    assert trial.treatment.details == ["ext_authz_error"]
    assert trial.treatment.reached == [0]


@pytest.mark.feature("External authorization, failing open")
def test_everybody_passes_without_the_service(tries, place, here):
    """At the {place}, requests return 200 when the external authorization service does not listen and failOpen is
    true."""
    trial = tries.configured(
        place,
        "authentication/external_open.yaml",
        f"{here(POLICY)}-open",
        lambda: place.send([place.get()] * 2),
        lambda: any("ext_authz" in name for name in place.route.get("typed_per_filter_config", {})),
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.reached == [1, 1]


@pytest.mark.feature("External authorization, failing closed without an endpoint")
def test_nobody_passes_without_an_endpoint(applying, kube, place, here):
    """At the {place}, a SecurityPolicy is not Accepted and requests return 500 when the Service of its external
    authorization has no endpoint and failOpen is false."""
    policy, gateway = f"{here(POLICY)}-missing", here(f"Gateway/default/{place.gateway}")

    control = place.send([place.get()] * 2)
    with applying("authentication/external_missing.yaml"):
        wait_for_condition(kube, policy, "Accepted", status="False", about=gateway)
        wait_for_response(place.client, place.get(), status=500)
        treatment = place.send([place.get()] * 2)
    wait_for_response(place.client, place.get(), status=200)
    recovery = place.send([place.get()] * 2)

    assert control.statuses == recovery.statuses == [200, 200]
    assert treatment.statuses == [500, 500]
    assert treatment.details == ["direct_response"] * 2
    assert treatment.reached == [0, 0]
