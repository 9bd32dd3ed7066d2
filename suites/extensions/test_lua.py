"""Lua scripts in Envoy.

Manifest: manifests/extensions/lua.yaml    Article: none; extensions are among its reasons
"""

import pytest

pytestmark = pytest.mark.needs("real gateway")
POLICY = "EnvoyExtensionPolicy/default/lua"


@pytest.mark.feature("Lua")
def test_script_runs(tries, place, here):
    """A Lua script answers one path itself, and adds a header to the other requests and to their responses."""
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
