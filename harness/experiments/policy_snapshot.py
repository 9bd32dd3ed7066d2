"""Records what policies do at one moment (quota, script, routing, conditions), for comparison across an upgrade.

The objects are those of manifests/upgrades/there_and_back.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness import record_replay
from harness.components import RateLimitService
from harness.experiments.ingress_or_waypoint import Place
from harness.experiments.traversal import send_through_ingress
from harness.http_exchange import get, unique_name
from harness.kube import Kube
from harness.waits import policy_propagation, status

SCRIPTED, BY_SERVICE = "scripted.example", "by-service.example"  # host names of two routes
LIMITED = "/health"  # a path of the route with the quota
REQUESTS = 5  # of a new user: more than the quota


@dataclass(frozen=True, slots=True)
class KeptPolicies:
    """A new user's statuses and response flags; the script's path and another one, with how often the backend received
    each; how many lines the waypoint has of each request by Service; which policies are Accepted."""

    quota: list[int | None]
    flags: list[str]
    script: list[int | None]
    reached: list[int]
    traversed: list[int]
    accepted: Mapping[str, bool]

    def differs_from(self, other: KeptPolicies) -> list[str]:
        """Which policies do something else at the other time."""
        pairs = {
            "quota": ((self.quota, self.flags), (other.quota, other.flags)),
            "script": ((self.script, self.reached), (other.script, other.reached)),
            "routing type": (self.traversed, other.traversed),
        }
        return [name for name, (mine, others) in pairs.items() if mine != others]


def observe_policies(
    ingress: Place, waypoint: Place, limiter: RateLimitService, kube: Kube, policies: Mapping[str, str]
) -> KeptPolicies:
    """Sends the requests of each policy once the rate limit service counts, and reads the conditions of `policies`
    (objects by name).

    Raises:
        SetupFailed: the rate limit service does not respond.
        Inconclusive: a witness is missing.
    """
    policy_propagation.wait_for_rate_limit_service(ingress.client, limiter, LIMITED)
    since = record_replay.now()
    user = ingress.client.send_in_turn(get(LIMITED, x_user_id=unique_name("kept")), REQUESTS)
    lines = ingress.envoy.wait_for_lines(user, since)
    script = ingress.send([ingress.get("/teapot", host=SCRIPTED), ingress.get(host=SCRIPTED)])
    by_service = send_through_ingress(ingress, waypoint, ingress.get(host=BY_SERVICE), 3)
    accepted = {name: status.read_condition(kube, one, "Accepted").met for name, one in policies.items()}
    return KeptPolicies(
        user.statuses, [line.flags for line in lines], script.statuses, script.reached, by_service.at_waypoint, accepted
    )
