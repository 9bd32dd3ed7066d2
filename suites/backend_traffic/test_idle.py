"""Connections to a backend that no request uses.

Manifest: manifests/backend_traffic/idle.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

from harness.experiments.idle_connections import send_with_pauses

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/idle-backend"


@pytest.mark.feature("Idle timeout of connections to the backend")
def test_idle_connection_is_closed(tries, place, here):
    """At the {place}, with a BackendTrafficPolicy's connectionIdleTimeout of 1 s, Envoy closes its connection to
    the backend after each of 3 requests, sent 2 s apart."""
    trial = tries.configured(
        place,
        "backend_traffic/idle.yaml",
        here(POLICY),
        lambda: send_with_pauses(place, place.get(), 3, seconds=2),
        lambda: "'idle_timeout'" in str(place.cluster),
    )

    closed = [arm.closed_when_idle for arm in (trial.control, trial.treatment, trial.recovery)]
    connections = {line.upstream_local_address for line in trial.treatment.lines}
    assert trial.control.statuses == trial.treatment.statuses == trial.recovery.statuses == [200] * 3
    assert closed == [0, 3, 0]
    assert len(connections) == 3
    assert trial.past == [[200, 200]] * 3
