"""Session persistence.

Manifest: manifests/routes/persistence.yaml    Article: none; routes of the Gateway API are among its reasons
"""

import pytest

from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.usefixtures("place", "applied")]
HOST = "persistent.example"


@pytest.mark.feature("Session persistence by header")
def test_session_stays_with_one_backend(place):
    """At the {place}, with session persistence, one backend receives all 20 requests of a session, and both
    backends receive 20 requests without session."""
    wait_for_response(place.client, place.get(host=HOST), status=200)
    first = place.send([place.get(host=HOST)])
    session = f"{first.answers[0].header('x-session')}"

    kept = place.send([place.get(host=HOST, x_session=session)] * 20)
    free = place.send([place.get(host=HOST)] * 20)

    assert kept.statuses == free.statuses == [200] * 20
    assert set(kept.backends) == set(first.backends)
    assert set(free.backends) == {"echo-v1", "echo-v2"}
