"""One ztunnel's word on the mesh, asked by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.proxy.config_dump import SectionAbsent
from harness.proxy.ztunnel_view import MeshView, read_mesh_view
from tests.recordings import dump

RECORDED = "admin/ztunnel-config_dump.json"


def recorded() -> MeshView:
    """The recorded dump of a real cluster's node."""
    return read_mesh_view(dump(RECORDED))


def test_protocol_of_pods_by_deployment() -> None:
    """Pods are found by their Deployment's name or their own, in their namespace only."""
    mesh = recorded()
    pod = next(w for w in mesh.workloads if w.name.startswith("ratings"))

    assert mesh.protocols("ratings-v1") == ("HBONE",)
    assert mesh.protocols(pod.name) == ("HBONE",)
    assert mesh.protocols("ratings-v1", "kube-system") == ()
    assert mesh.protocols("nobody") == ()


def test_name_is_not_a_mere_beginning() -> None:
    """A name that another pod's name begins with, without the dash, is nobody's."""
    mesh = recorded()

    assert mesh.protocols("rating") == ()
    assert mesh.protocols("ratings-v") == ()


def test_different_protocols_are_all_told() -> None:
    """If one of several pods is not enrolled, it shows."""
    raw: dict[str, Any] = {
        "workloads": [
            {"name": f"x-{n}", "namespace": "default", "protocol": protocol}
            for n, protocol in enumerate(("HBONE", "TCP"))
        ],
        "services": [],
        "certificates": [],
    }

    assert read_mesh_view(raw).protocols("x") == ("HBONE", "TCP")


def test_waypoint_of_a_service() -> None:
    """A bound Service has its waypoint's address; others, and unknown ones, have none."""
    mesh = recorded()
    bound = [s for s in mesh.services if s.waypoint]

    assert bound
    assert all(mesh.waypoint_of(s.name, s.namespace) == s.waypoint for s in bound)
    assert mesh.waypoint_of("details") == ""
    assert mesh.waypoint_of("nobody") == ""
    assert mesh.waypoint_of(bound[0].name, "elsewhere") == ""


def test_certificates_are_of_an_identity_and_a_time() -> None:
    """A certificate counts for its own service account and namespace, while it is valid."""
    mesh = recorded()
    held = next(c for c in mesh.certificates if c.valid_from and c.expires)
    namespace, account = held.identity.split("/")[-3], held.identity.split("/")[-1]
    assert held.valid_from
    assert held.expires
    now = held.valid_from + (held.expires - held.valid_from) / 2

    assert mesh.has_valid_certificate(account, now, namespace)
    assert not mesh.has_valid_certificate(account, held.expires + timedelta(days=2), namespace)
    assert not mesh.has_valid_certificate(account, held.valid_from - timedelta(days=2), namespace)
    assert not mesh.has_valid_certificate(account, now, "elsewhere")
    assert not mesh.has_valid_certificate(account[1:], now, namespace)
    assert not mesh.has_valid_certificate("nobody", datetime.now(UTC), namespace)


@pytest.mark.parametrize("section", ["workloads", "services", "certificates"])
def test_half_a_dump_is_no_view(section: str) -> None:
    """A dump without a section says nothing of it: it is refused, not taken for empty."""
    raw = {key: value for key, value in dump(RECORDED).items() if key != section}

    with pytest.raises(SectionAbsent):
        read_mesh_view(raw)
