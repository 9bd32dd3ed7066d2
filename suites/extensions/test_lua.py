"""Lua scripts in Envoy.

Manifest: manifests/extensions/lua.yaml    Article: none; extensions are among its reasons
"""

import pytest

from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = pytest.mark.needs("real gateway")
POLICY = "EnvoyExtensionPolicy/default/lua"


@pytest.mark.feature("Lua", before="1.9")
def test_script_runs(tries, place, here):
    """At the {place}, with Envoy Gateway before 1.9, an EnvoyExtensionPolicy's Lua script returns 418 for one path and
    adds a header to other requests and their responses."""
    requests = [place.get("/teapot"), place.get()]

    trial = tries.policy(place, "extensions/lua.yaml", here(POLICY), requests, 418)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [418, 200]
    assert trial.treatment.details == ["lua_response", "via_upstream"]
    assert trial.treatment.reached == [0, 1]
    assert trial.treatment.header("x-script")[1] == "request"
    assert trial.treatment.answers[1].header("x-script") == "response"
    assert trial.control.header("x-script") == trial.recovery.header("x-script") == [None, None]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("Lua", means="broken", since="1.9")
def test_script_is_rejected(applying, kube, place, here):
    """At the {place}, with Envoy Gateway 1.9 and later, an EnvoyExtensionPolicy with a Lua script is not Accepted,
    and requests on its route return 500."""
    with applying("extensions/lua.yaml"):
        wait_for_condition(
            kube, here(POLICY), "Accepted", status="False", about=here(f"Gateway/default/{place.gateway}")
        )
        wait_for_response(place.client, place.get(), status=500)
        treatment = place.send([place.get()] * 2)
    wait_for_response(place.client, place.get(), status=200)
    recovery = place.send([place.get()] * 2)

    assert (treatment.statuses, treatment.reached) == ([500, 500], [0, 0])
    assert (recovery.statuses, recovery.reached) == ([200, 200], [1, 1])
