"""A rate limit ends when its policy is removed.

Manifest: manifests/rate_limit/removal.yaml    Article: "This Ingress needs rate limiting"
"""

from harness.http_exchange import get, unique_name
from harness.waits import policy_propagation

POLICY = "BackendTrafficPolicy/default/productpage-rate-limiting-for-a-while"


def test_spent_caller_is_served_again(
    rate_limit_window, applying, monotonic_clock, kube, ingress, ingress_gateway, rate_limit_service, since, here
):
    """With a rate limit of 1 per hour at the ingress, a user's second and third request return 429; before the policy
    and after its deletion all return 200."""
    request = get("/productpage", x_user_id=unique_name("caller"))

    control = ingress.send_in_turn(request, 3)
    with applying("rate_limit/removal.yaml"):
        started = monotonic_clock()
        policy_propagation.wait_for_accepted(kube, here(POLICY), since=started)
        policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=True, since=started)
        policy_propagation.wait_for_rate_limit_service(ingress, rate_limit_service, "/productpage")
        treatment = ingress.send_in_turn(request, 3)
    policy_propagation.wait_for_rate_limit(ingress_gateway, "ingress-bookinfo", there=False, since=monotonic_clock())
    recovery = ingress.send_in_turn(request, 3)

    assert control.statuses == [200, 200, 200]
    assert treatment.statuses == [200, 429, 429]
    assert recovery.statuses == [200, 200, 200]
    assert set(recovery.header("x-ratelimit-limit")) == {None}
    lines = ingress_gateway.wait_for_lines(control, since) + ingress_gateway.wait_for_lines(treatment, since)
    lines += ingress_gateway.wait_for_lines(recovery, since)
    assert [line.flags for line in lines] == ["-"] * 4 + ["RL"] * 2 + ["-"] * 3
