"""What ztunnel knows, by its dump."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from harness.proxy.config_dump import SectionAbsent
from harness.proxy.ztunnel_dump import certificates, istiod_address, services, workloads
from tests.recordings import dump
from tests.recordings.shapes import fuzz, keyed

HOSTILE = keyed(
    *(
        "workloads",
        "services",
        "certificates",
        "workloadState",
        "waypoint",
        "destination",
    ),
    *("certChain", "validFrom", "connections", "outbound", "info"),
)


def test_enrolled_workloads_speak_hbone() -> None:
    """Every Bookinfo pod and both proxies are enrolled; the control planes are not."""
    found = workloads(dump("admin/ztunnel-config_dump.json"))

    enrolled = [workload for workload in found if workload.protocol == "HBONE"]

    assert {w.namespace for w in enrolled} == {"default"}
    assert {w.name.partition("-")[0] for w in enrolled} >= {"bookinfo", "waypoint", "ratings", "hey"}
    waypoint = next(w for w in found if w.name.startswith("waypoint"))
    assert waypoint.identity == "spiffe://cluster.local/ns/default/sa/waypoint"


def test_only_ratings_has_a_waypoint() -> None:
    """Its waypoint is the VIP of the waypoint's own Service."""
    recorded = dump("admin/ztunnel-config_dump.json")
    found = {service.name: service for service in services(recorded)}
    vips = {service["name"]: service["vips"] for service in recorded["services"]}

    assert {n for n, service in found.items() if service.waypoint} == {"ratings"}
    assert f"/{found['ratings'].waypoint}" in vips["waypoint"]
    assert found["ratings"].hostname == "ratings.default.svc.cluster.local"


def test_istiod_is_the_one_in_the_configuration() -> None:
    """The address of istiod's xDS server; empty in a dump without the configuration."""
    address = "https://istiod.istio-system.svc:15012"

    assert istiod_address({"config": {"xdsAddress": address}}) == address
    assert istiod_address({"config": {}}) == ""


def test_certificates_are_valid_for_a_day() -> None:
    """Available, and good from before now until tomorrow."""
    found = certificates(dump("admin/ztunnel-config_dump.json"))
    now = datetime(2026, 11, 21, 0, 45, tzinfo=UTC)

    assert all(certificate.is_valid(now) for certificate in found)
    assert not any(certificate.is_valid(now + timedelta(days=1)) for certificate in found)
    assert all(certificate.is_valid(certificate.valid_from) for certificate in found if certificate.valid_from)
    assert "spiffe://cluster.local/ns/default/sa/waypoint" in {certificate.identity for certificate in found}


def test_certificate_that_is_not_there_yet_is_not_valid() -> None:
    """While ztunnel waits for istiod there is a state and no chain."""
    (found,) = certificates({"certificates": [{"identity": "a", "state": "Initializing", "certChain": []}]})

    assert found.expires is None
    assert not found.is_valid(datetime.now(UTC))


@pytest.mark.parametrize("read", [workloads, services, certificates])
def test_partial_dump_says_nothing(read: Callable[[Any], object]) -> None:
    """A dump without the part is not a node without workloads; an empty part is."""
    with pytest.raises(SectionAbsent):
        read({"version": {}})
    assert read({read.__name__: []}) == ()


@fuzz
@given(HOSTILE)
def test_any_part_can_be_read(value: object) -> None:
    """Parts of any shape are read without an error, or refused as absent."""
    body = value if isinstance(value, dict) else {"services": value}
    for read in (workloads, services, certificates):
        with suppress(SectionAbsent):
            assert isinstance(read(body), tuple)
