"""A TCPRoute that is not served is a finding, and no error of the experiment."""

from types import SimpleNamespace
from typing import Any

import pytest

from harness.experiments import tcp_route_served
from harness.experiments.tcp_route_served import TIMES, TcpRoute, observe_tcp_route, wait_for_tcp_route
from tests.fakes.clock import Clock

REFUSED = {"dial tcp 10.96.0.7:9000: connect: connection refused": TIMES}


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_route_served.status, "read_condition", lambda *_: SimpleNamespace(met=True))


def client(*counts: dict[str, int]) -> Any:
    """A mesh client whose fortio counts these, the last one for ever."""
    left = list(counts)
    return SimpleNamespace(fortio=lambda _url, _times: left.pop(0) if len(left) > 1 else left[0])


def test_messages_that_came_back_are_counted(accepted: None) -> None:
    found = observe_tcp_route(client({"OK": 2, "short read": 1}), None, "tcp://a:1", "TCPRoute/default/a")  # type: ignore[arg-type]  # read by a stand-in

    assert found == TcpRoute(2, accepted=True)


@pytest.mark.parametrize(("last", "returned"), [({"OK": TIMES}, TIMES), (REFUSED, 0)])
def test_route_is_awaited(accepted: None, clock: Clock, last: dict[str, int], returned: int) -> None:
    """To the end of the bound; what is then seen is returned, whatever it is."""
    found = wait_for_tcp_route(client(REFUSED, REFUSED, last), None, "tcp://a:1", "TCPRoute/default/a")  # type: ignore[arg-type]  # as above

    assert found == TcpRoute(returned, accepted=True)
