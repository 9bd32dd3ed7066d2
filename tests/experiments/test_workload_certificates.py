"""Turned is another serial for every identity that is still there: not a dump without any, not a part of them."""

from datetime import UTC, datetime

import pytest

from harness.errors import NotReady
from harness.experiments import workload_certificates
from harness.proxy.ztunnel_dump import Certificate
from harness.proxy.ztunnel_view import MeshView
from tests.fakes.clock import Clock

FROM, TO = datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)


class Ztunnels:
    """Dumps of one node, by service account and serial; the last one stays."""

    def __init__(self, *dumps: dict[str, str]) -> None:
        self._dumps = list(dumps)

    def read_views(self) -> dict[str, MeshView]:
        dump = self._dumps.pop(0) if len(self._dumps) > 1 else self._dumps[0]
        found = tuple(
            Certificate(f"spiffe://cluster.local/ns/default/sa/{who}", "Available", FROM, TO, serial)
            for who, serial in dump.items()
        )
        return {"worker": MeshView((), (), found, "default")}


def turned(*dumps: dict[str, str]) -> workload_certificates.Rotation:
    ztunnels = Ztunnels(*dumps)
    return workload_certificates.wait_for_rotation(ztunnels, workload_certificates.read_certificates(ztunnels))  # type: ignore[arg-type]  # a stand-in


def test_every_serial_is_awaited(clock: Clock) -> None:
    turn = turned({"a": "1", "b": "2"}, {"a": "3", "b": "2"}, {"a": "3", "b": "4"})

    assert turn.rotated_accounts == {"a", "b"}
    assert turn.first_expiry == TO


def test_identity_whose_pod_has_gone_is_not_awaited(clock: Clock) -> None:
    assert turned({"a": "1", "b": "2"}, {"a": "3"}).rotated_accounts == {"a"}


@pytest.mark.parametrize("after", [{"a": "1", "b": "4"}, {}, {"a": "", "b": ""}, {"c": "9"}])
def test_what_was_not_turned_is_not_taken_for_it(after: dict[str, str], clock: Clock) -> None:
    """Planted: one as it was, a dump without certificates, certificates not there yet, another's."""
    with pytest.raises(NotReady, match="has turned 2 certificates"):
        turned({"a": "1", "b": "2"}, after)
