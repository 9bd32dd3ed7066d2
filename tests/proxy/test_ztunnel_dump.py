"""What ztunnel knows: its own dump, and istioctl's rendering of it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from harness.proxy.config_dump import SectionAbsent
from harness.proxy.ztunnel_dump import certificates, services, workloads
from tests.recordings import dump
from tests.recordings.shapes import fuzz, keyed

HOSTILE = keyed(
    *(
        "workloads",
        "services",
        "certificates",
        "workloadState",
        "ports",
        "vips",
        "waypoint",
        "destination",
        "endpoints",
    ),
    *("certChain", "validFrom", "connections", "outbound", "info", "applicationTunnel", "port", "80"),
)


def test_enrolled_workloads_speak_hbone() -> None:
    """Every Bookinfo pod and both proxies are enrolled; the control planes are not."""
    found = workloads(dump("admin/ztunnel-config_dump.json"))

    assert {w.namespace for w in found if w.is_enrolled} == {"default"}
    assert {w.name.partition("-")[0] for w in found if w.is_enrolled} >= {"bookinfo", "waypoint", "ratings", "hey"}
    waypoint = next(w for w in found if w.name.startswith("waypoint"))
    assert waypoint.identity == "spiffe://cluster.local/ns/default/sa/waypoint"
    assert (waypoint.ips, waypoint.node, waypoint.status) == (("10.244.0.31",), "rig-control-plane", "Healthy")
    assert waypoint.services == ("default/waypoint.default.svc.cluster.local",)
    assert waypoint.tunnel == ""


def test_inbound_binding_is_a_tunnel() -> None:
    """The annotation form of the waypoint: istiod tells ztunnel where to deliver."""
    (found,) = workloads([{"name": "waypoint2", "applicationTunnel": {"protocol": "NONE", "port": 9080}}])

    assert found.tunnel == "NONE/9080"
    assert not found.is_enrolled


@pytest.mark.parametrize("name", ["admin/ztunnel-config_dump.json", "cli/ztunnel-config-services.json"])
def test_only_ratings_has_a_waypoint(name: str) -> None:
    """Its waypoint is the VIP of the waypoint's own Service, in the dump and from istioctl."""
    found = {service.name: service for service in services(dump(name))}

    assert {n for n, service in found.items() if service.waypoint} == {"ratings"}
    assert found["ratings"].waypoint in found["waypoint"].vips
    assert found["waypoint"].ports == {9080: 9080, 15008: 15008}
    assert found["ratings"].hostname == "ratings.default.svc.cluster.local"
    assert len(found["reviews"].endpoints) == 3


@pytest.mark.parametrize("name", ["admin/ztunnel-config_dump.json", "cli/ztunnel-config-certificates.json"])
def test_certificates_are_valid_for_a_day(name: str) -> None:
    """Available, and good from before now until tomorrow."""
    found = certificates(dump(name))
    now = datetime(2026, 11, 21, 0, 45, tzinfo=UTC)

    assert all(certificate.is_valid(now) for certificate in found)
    assert not any(certificate.is_valid(now + timedelta(days=1)) for certificate in found)
    assert "spiffe://cluster.local/ns/default/sa/waypoint" in {certificate.identity for certificate in found}


def test_certificate_that_is_not_there_yet_is_not_valid() -> None:
    """While ztunnel waits for istiod there is a state and no chain."""
    (found,) = certificates([{"identity": "a", "state": "Initializing", "certChain": []}])

    assert found.expires is None
    assert not found.is_valid(datetime.now(UTC))


@pytest.mark.parametrize("read", [workloads, services, certificates])
def test_partial_dump_says_nothing(read: Any) -> None:
    """A dump without the part is not a node without workloads; an empty part is."""
    with pytest.raises(SectionAbsent):
        read({"version": {}})
    assert read([]) == ()


@fuzz
@given(HOSTILE)
def test_any_part_can_be_read(value: object) -> None:
    """Parts of any shape are read without an error, or refused as absent."""
    body = value if isinstance(value, dict | list) else {"services": value}
    for read in (workloads, services, certificates):
        with suppress(SectionAbsent):
            assert isinstance(read(body), tuple)
