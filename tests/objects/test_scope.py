"""Which changes concern others than the run: judged from the object alone."""

from __future__ import annotations

from typing import Any

import pytest

from harness.objects.refs import ref
from harness.objects.scope import beyond_ours, reach_beyond_ours
from tests.fakes.api import named


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("GatewayClass/eg-other", "cluster-wide"),
        ("Node/worker", "cluster-wide"),
        ("Namespace/default", "cluster-wide"),
        ("Deployment/istio-system/istiod", "in namespace istio-system"),
        ("Pod/team-b/web-1", "in namespace team-b"),
        ("Deployment/default/waypoint", ""),
    ],
)
def test_a_name_says_whether_others_are_concerned(name: str, why: str) -> None:
    """What lives in no namespace, or in one that is not ours, is not ours."""
    assert reach_beyond_ours(ref(name)) == why


@pytest.mark.parametrize(
    ("kind", "spec", "wide"),
    [
        ("PeerAuthentication", {"mtls": {"mode": "STRICT"}}, True),
        ("PeerAuthentication", {"selector": {}}, True),
        ("PeerAuthentication", {"selector": {"matchLabels": {}}}, True),
        ("PeerAuthentication", {"selector": {"matchLabels": {"app": "a"}}}, False),
        ("AuthorizationPolicy", {"rules": []}, True),
        ("AuthorizationPolicy", {"targetRefs": []}, True),
        ("AuthorizationPolicy", {"targetRefs": [{"kind": "Service", "name": "a"}]}, False),
        ("AuthorizationPolicy", {"targetRef": {"kind": "Service", "name": "a"}}, False),
        ("BackendTrafficPolicy", {"targetRefs": [{"kind": "Gateway", "name": "a"}]}, False),
        ("BackendTrafficPolicy", {"targetSelectors": [{"kind": "Gateway"}]}, True),
    ],
)
def test_a_policy_for_a_whole_namespace_concerns_others(kind: str, spec: dict[str, Any], wide: bool) -> None:
    """One that selects workloads, or names what it is for, does not; an empty selector selects all."""
    assert bool(beyond_ours(named(f"{kind}/default/x", spec=spec))) == wide


def test_kinds_that_the_harness_does_not_name_are_judged_as_well() -> None:
    """A NetworkPolicy for every pod is namespace-wide, one for some pods is not."""
    policy: dict[str, Any] = {"kind": "NetworkPolicy", "metadata": {"name": "x", "namespace": "default"}}
    policy["apiVersion"] = "networking.k8s.io/v1"
    some = {"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}

    assert beyond_ours({**policy, "spec": {"podSelector": {}}}) == "NetworkPolicy/default/x (namespace-wide)"
    assert beyond_ours({**policy, "spec": some}) == ""
