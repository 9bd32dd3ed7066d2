"""Cause of a failure: a rate limit that lets more or fewer requests pass than its policy allows. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.causes.foreign_policies import quota, targets
from harness.causes.state import ROUTE, Cause, ClusterState, FailureFacts, describe, name_parts, object_key
from harness.objects.unstructured import text


def quota_not_kept(state: ClusterState, failure: FailureFacts) -> list[Cause]:
    """Requests that were sent together, the first of which passed: more, or fewer, than the suite's policy allows."""
    routes = {found[2] for one in state.access if (found := ROUTE.match(one.line.route_name or ""))}
    if "429" not in failure.text or not routes:
        return []
    for policy in state.objects_of("BackendTrafficPolicy"):
        limit = quota(policy)
        aims = {one.rpartition("/")[2] for one in targets(policy)}
        if limit is None or not aims & routes or object_key(policy) not in state.wanted:
            continue
        allowed, unit = limit
        subject = (
            f"{describe(text(policy, 'kind'), *name_parts(policy))} allows {allowed} requests per {unit} to each client"
        )
        for statuses in (sent for sent in _together(failure) if 429 in sent):
            passed = statuses.index(429)
            if passed < allowed:
                sentence = (
                    f"{subject}, and the rate limit service rejected request {passed + 1} of one: is its "
                    "bucket shared, or was it used before?"
                )
                return [Cause(sentence, (object_key(policy),))]
            if passed > allowed:
                sentence = (
                    f"{subject}, and the rate limit service let {passed} of one client pass: did its "
                    "window end, or is its limit another?"
                )
                return [Cause(sentence, (object_key(policy),))]
    return []


def _together(failure: FailureFacts) -> Iterator[list[int | None]]:
    """The statuses of each send, in order."""
    for sent in dict.fromkeys(call.sent for call in failure.calls):
        yield [call.status for call in failure.calls if call.sent == sent]
