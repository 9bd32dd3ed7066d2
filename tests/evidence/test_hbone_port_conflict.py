"""Who has port 15008, by two recorded witnesses."""

from harness.evidence.hbone_port_conflict import REMEDY, describe_port_conflict
from harness.logs import envoy_access, ztunnel
from tests.recordings import text

FAILURES = ztunnel.parse_bind_failures(text("eg-1.9.0/ztunnel-port-15008-clash.log"))
UID = "84d9eb35-7dfd-4c4c-b840-4907573dc07a"
TAKEN = [
    a
    for a in envoy_access.parse_access_log(text("eg-1.9.0/waypoint-envoy.log")).lines
    if a.upstream_cluster == "EmptyCluster"
]


def test_pod_and_port_are_named() -> None:
    """By ztunnel's word, with how often and when last."""
    sentence = describe_port_conflict(FAILURES, (), {UID: "default/waypoint-1"})

    assert FAILURES
    assert "port 15008 of default/waypoint-1 is not ztunnel's" in sentence
    assert f"{len(FAILURES)} times" in sentence
    assert "docs/port-15008.md" in REMEDY


def test_failure_of_a_pod_that_is_gone_is_over() -> None:
    """Deleting the pod is the repair: what was reported of it before says nothing of now."""
    assert describe_port_conflict(FAILURES, (), {"another": "default/waypoint-2"}) == ""


def test_nothing_is_reported_when_all_is_well() -> None:
    """No failure, and access lines of every other kind."""
    well = envoy_access.parse_access_log(text("logs/waypoint-envoy.log")).lines

    assert well
    assert describe_port_conflict((), well, {}) == ""
