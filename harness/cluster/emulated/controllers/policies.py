"""Statuses that Envoy Gateway writes on BackendTrafficPolicies and ClientTrafficPolicies. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.cluster.emulated.api.kinds import GATEWAY, Object
from harness.cluster.emulated.controllers.conditions import condition

NO_LIMITER = "RateLimit: enable Ratelimit in the EnvoyGateway config to configure global rateLimit."


@dataclass(frozen=True, slots=True)
class Ancestor:
    """One Gateway that a policy applies to, and the status for it; conditions without their times."""

    reference: Object
    conditions: list[Object]

    @property
    def accepted(self) -> bool:
        return bool(self.conditions[0]["status"] == "True")


Parents = Callable[[Object], Iterable[Object]]  # a route's accepted parentRefs to Gateways of Envoy Gateway


def judge(
    policies: Sequence[Object],
    *,
    routes: dict[tuple[str, str], Object],
    gateways: dict[tuple[str, str], Object],
    parents: Parents,
    limiter: bool,
) -> dict[str, list[Ancestor]]:
    """All policies of one kind, by uid. Of two with one target the older wins; a missing target is not spoken of."""
    taken: dict[tuple[str, str, str], str] = {}
    found: dict[str, list[Ancestor]] = {}
    for policy in sorted(policies, key=_age):
        meta, ancestors = policy["metadata"], list[Ancestor]()
        for target in policy["spec"].get("targetRefs") or ():
            where = (meta["namespace"], target["name"])
            obj = (routes if target["kind"] == "HTTPRoute" else gateways).get(where)
            if obj is None:
                continue
            owner = taken.setdefault((target["kind"], *where), meta["uid"])
            for reference in _references(target, obj, parents):
                conditions = _conditions(policy, target, conflict=owner != meta["uid"], limiter=limiter)
                ancestors.append(Ancestor(reference, conditions))
        if ancestors:
            found[meta["uid"]] = ancestors
    return found


def _age(policy: Object) -> tuple[str, str, str]:
    meta = policy["metadata"]
    return meta["creationTimestamp"], meta["namespace"], meta["name"]


def _references(target: Object, obj: Object, parents: Parents) -> list[Object]:
    common = {"group": GATEWAY, "kind": "Gateway"}
    if target["kind"] == "Gateway":
        meta = obj["metadata"]
        return [common | {"name": meta["name"], "namespace": meta["namespace"]}]
    return [
        common
        | {"name": one["name"], "namespace": one.get("namespace", obj["metadata"]["namespace"])}
        | ({"sectionName": one["sectionName"]} if "sectionName" in one else {})
        for one in parents(obj)
    ]


def _conditions(policy: Object, target: Object, *, conflict: bool, limiter: bool) -> list[Object]:
    generation = policy["metadata"]["generation"]
    if conflict:
        message = (
            f"Unable to target {target['kind']} {target['name']}, another {policy['kind']} has already attached to it"
        )
        return [condition("Accepted", False, "Conflicted", message, generation=generation)]
    if "rateLimit" in policy["spec"] and not limiter:
        return [condition("Accepted", False, "Invalid", NO_LIMITER, generation=generation)]
    return [condition("Accepted", True, "Accepted", "Policy has been accepted.", generation=generation)]
