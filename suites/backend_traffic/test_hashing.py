"""Consistent hashing: one user's requests go to one backend.

Manifest: manifests/backend_traffic/hashing.yaml    Article: none; its reason is Envoy Gateway's policies
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "BackendTrafficPolicy/default/hashing"
USERS = [f"user-{n}" for n in range(20)]  # all of 20 on one of two backends by chance: 2 of a million


@pytest.mark.feature("Consistent hashing by header")
def test_user_stays_with_one_backend(tries, place, here):
    """At the {place}, with consistent hashing by user header, one backend receives all 20 requests of one user, and
    both backends receive requests of 20 users."""
    requests = [place.get(x_user_id="john")] * 20 + [place.get(x_user_id=user) for user in USERS]

    trial = tries.configured(
        place,
        "backend_traffic/hashing.yaml",
        here(POLICY),
        lambda: place.send(requests),
        lambda: "maglev" in str(place.cluster).lower(),
    )

    assert set(trial.control.backends[:20]) == set(trial.recovery.backends[:20]) == {"echo-v1", "echo-v2"}
    assert len(set(trial.treatment.backends[:20])) == 1
    assert set(trial.treatment.backends[20:]) == {"echo-v1", "echo-v2"}
