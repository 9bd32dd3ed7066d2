"""What one node's ztunnel knows, by the names that suites ask with."""

from harness.proxy import ztunnel_dump
from harness.proxy.ztunnel_view import MeshView


def workload(name: str, namespace: str, protocol: str) -> ztunnel_dump.Workload:
    return ztunnel_dump.Workload(
        name=name,
        namespace=namespace,
        protocol=protocol,
        identity=f"spiffe://mesh.example/ns/{namespace}/sa/{name}",
    )


VIEW = MeshView(
    (
        workload("ratings-v1-abc", "default", "HBONE"),
        workload("ratings-v1-def", "default", "TCP"),
        workload("ratings", "default", "HBONE"),
        workload("ratings-v1-abc", "other", "UNKNOWN"),
        workload("reviews-v1-abc", "default", "LEGACY"),
    ),
    (),
    (),
    "default",
)


def test_protocols_are_of_pods_of_that_name_in_that_namespace() -> None:
    """A Deployment's pods have its name and more; a pod alone has exactly its own; each protocol is named once."""
    assert VIEW.protocols("ratings-v1") == ("HBONE", "TCP")
    assert VIEW.protocols("ratings") == ("HBONE", "TCP")
    assert VIEW.protocols("ratings-v1-abc") == ("HBONE",)
    assert VIEW.protocols("ratings-v1", "other") == ("UNKNOWN",)
    assert VIEW.protocols("details-v1") == ()
    assert VIEW.protocols_of(["reviews-v1", "details-v1"]) == ("?", "LEGACY")


def test_trust_domain_is_that_of_the_namespaces_pods() -> None:
    assert VIEW.trust_domain == "mesh.example"
    assert MeshView((), (), (), "default").trust_domain == ""
