"""Redis is killed and starts again, with an empty store: it keeps nothing on a disk here.

Manifest: manifests/resilience/redis_killed.yaml
Promise: counters are lost: a caller whose quota was spent has it anew. Until Redis answers again each request waits
for the limiter's time-out (2 s here) and then passes.
"""

import pytest

from harness.stack import disturb, enforcement
from harness.traffic import get, unique

pytestmark = [pytest.mark.extended("Resilience"), pytest.mark.needs("load")]
KILLED = "Redis killed"


@pytest.fixture
def limited(whole_again, hour_left, applying, clock, ingress, ingress_gateway, limiter):
    """The limit of this file's manifest, seen to be in force."""
    with applying("resilience/redis_killed.yaml"):
        enforcement.rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=clock())
        enforcement.limiter_answers(ingress, limiter, "/health")
        yield


def test_counters_are_lost_with_redis(load, outside, limited, kube, ingress, ingress_gateway):
    """After a restart of Redis a caller whose quota was spent is served it anew, then refused again."""
    caller, watched = (get("/health", x_user_id=unique(name)) for name in ("spent", "watched"))
    before = ingress.in_turn(caller, 2)
    _ = ingress.get(watched)

    with (
        load(
            outside(watched, through=ingress_gateway, wanted=(429,)),
            seconds=25,
            promise="a quota anew; limited again in 15 s",
        ) as flow,
        flow.event(KILLED),
    ):
        disturb.killed(kube, disturb.REDIS)
    after = ingress.in_turn(caller, 2)

    assert (before.statuses, after.statuses) == ([200, 429], [200, 429])
    assert flow.timeline.lost
    assert flow.timeline.after(KILLED, settle=15).lost == (), flow.story
