"""Where the stack runs, and what follows from it."""

from __future__ import annotations

from harness.objects.stack_places import StackPlaces, pod_prefix

ELSEWHERE = StackPlaces(istiod="istio-system/istiod-canary", ztunnel="kube-system/ztunnel", root_namespace="root")


def test_a_workload_written_as_the_harness_installs_it_is_found_where_it_is() -> None:
    """Any other is as written."""
    assert ELSEWHERE.text("DaemonSet/istio-system/ztunnel") == "DaemonSet/kube-system/ztunnel"
    assert ELSEWHERE.text("Deployment/default/waypoint") == "Deployment/default/waypoint"
    assert pod_prefix(ELSEWHERE.istiod) == ("istio-system", "istiod-canary-")


def test_namespaces_of_the_stack_are_those_of_its_parts_and_the_root_namespace() -> None:
    """Each once."""
    assert sorted(ELSEWHERE.namespaces) == [
        "envoy-gateway-system",
        "istio-system",
        "kube-system",
        "redis-system",
        "root",
    ]
