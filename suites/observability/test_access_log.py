"""Access lines in a format of one's own, and in them the client's identity, which ztunnel names to the waypoint.

Manifest: manifests/observability/access_log.yaml (access_log_identity.yaml)    Article: none
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
HOST = "echo-logged"
KEYS = {"start_time", "response_code", "response_flags", "user-agent", "team", "identity"}


@pytest.fixture(scope="module")
def pair(applied, pair_of):
    """The ingress and the waypoint of that format."""
    with pair_of("logged") as pair:
        yield pair


@pytest.fixture
def ingress_logged(pair):
    return pair[0]


@pytest.fixture
def waypoint_logged(pair):
    return pair[1]


@pytest.mark.feature("Access log in a custom format", place="ingress")
def test_ingress_writes_the_format(ingress_logged, at_ingress):
    """With a custom JSON access log format, the ingress writes one line per request with exactly the keys of that
    format."""
    arm = ingress_logged.send([ingress_logged.get(host=HOST, x_team="blue")] * 3)
    default = at_ingress.send([at_ingress.get(x_team="blue")])

    assert arm.statuses == [200, 200, 200]
    assert [(set(line.raw), line.raw["team"]) for line in arm.lines] == [(KEYS, "blue")] * 3
    assert "team" not in default.lines[0].raw
    assert arm.reached == [1, 1, 1]


@pytest.mark.feature("Access log in a custom format", place="waypoint")
def test_waypoint_writes_the_format(waypoint_logged, at_waypoint):
    """With a custom JSON access log format, a waypoint writes one line per request with exactly the keys of that
    format."""
    arm = waypoint_logged.send([waypoint_logged.get(host=HOST, x_team="blue")] * 3)
    default = at_waypoint.send([at_waypoint.get(x_team="blue")])

    assert arm.statuses == [200, 200, 200]
    assert [(set(line.raw), line.raw["team"]) for line in arm.lines] == [(KEYS, "blue")] * 3
    assert "team" not in default.lines[0].raw
    assert arm.reached == [1, 1, 1]


@pytest.mark.feature("Client's ServiceAccount from the PROXY protocol", place="waypoint")
def test_waypoint_knows_the_client(tries, waypoint_logged, here):
    """With an EnvoyPatchPolicy for the PROXY protocol filter, the waypoint's access log contains the SPIFFE
    identity of the client."""
    request = waypoint_logged.get(host=HOST)

    trial = tries.configured(
        waypoint_logged,
        "observability/access_log_identity.yaml",
        here("EnvoyPatchPolicy/default/client-identity"),
        lambda: waypoint_logged.send([request] * 2),
        lambda: waypoint_logged.send([request]).lines[0].raw["identity"] is not None,
        condition="Programmed",
    )

    assert [line.raw["identity"] for line in trial.control.lines] == [None, None]
    identity = here("spiffe://cluster.local/ns/default/sa/mesh-client")
    assert [line.raw["identity"] for line in trial.treatment.lines] == [identity, identity]
    assert [line.raw["identity"] for line in trial.recovery.lines] == [None, None]
