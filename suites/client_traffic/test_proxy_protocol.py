"""PROXY protocol in front of the ingress: the client's address, limits on it, connections without.

The harness begins each connection with the header, as a load balancer does; no load balancer is needed.
Manifest: manifests/client_traffic/proxy_protocol.yaml (proxy_protocol_required.yaml, proxy_protocol_enabled.yaml,
proxy_protocol_optional.yaml, proxy_protocol_limit.yaml)
Article: none; "How to get the real client IP to your application" (Istio ambient and Envoy Gateway compared)
"""

from dataclasses import replace

import pytest

from harness.experiments.proxy_protocol_clients import send_from, send_one_from
from harness.http_exchange import unique_name
from harness.waits import gateways
from harness.waits.responses import wait_for_response

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
LIMIT = "BackendTrafficPolicy/default/by-proxied-address"
FIRST, SECOND = "203.0.113.7", "198.51.100.7"
REFUSED = "proxy_proto.not_found_disallowed"
VERSIONS = [
    pytest.param(1, marks=pytest.mark.feature("PROXY protocol v1", place="ingress")),
    pytest.param(2, marks=pytest.mark.feature("PROXY protocol v2", place="ingress")),
]


@pytest.fixture(scope="module")
def proxied(applied, kube, client_of, proxy_of, at_ingress, at_waypoint):
    """The place of that ingress, behind which the echo backend is called through its waypoint."""
    gateways.wait_for_gateway(kube, "ingress-proxied", "ingress-proxied")
    envoy = proxy_of("ingress-proxied")
    with client_of(envoy.gateway, 80) as client:
        place = replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)
        wait_for_response(client, place.get(), status=200)
        yield place


@pytest.fixture
def sent(tries, proxied, here):
    """`sent(manifest, version, addresses, counter)`: a request from each address before, under and after the policy."""
    return lambda manifest, version, addresses, counter: tries.configured(
        proxied,
        f"client_traffic/proxy_protocol_{manifest}.yaml",
        here(f"ClientTrafficPolicy/default/proxied-{manifest}"),
        lambda: send_from(proxied, proxied.get(), version, addresses, counter),
        lambda: send_one_from(proxied, proxied.get(), version, FIRST).status == 200,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_address_of_the_header_is_the_clients(sent, proxied, at_waypoint, since, version):
    """With a ClientTrafficPolicy's proxyProtocol at the ingress, its access log and the backend's X-Forwarded-For
    contain the client address of a PROXY protocol {version} header."""
    trial = sent("required", version, [FIRST, SECOND], f"proxy_proto.versions.v{version}.found")

    lines = at_waypoint.envoy.wait_for_lines(trial.treatment.answers, since)
    (ingress,) = proxied.envoy.ips
    assert trial.control.statuses == trial.recovery.statuses == [400, 400]
    assert trial.treatment.statuses == [200, 200]
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 2, 0)
    assert [line.client_ip for line in trial.treatment.lines] == [FIRST, SECOND]
    assert [line.client_ip for line in lines] == [ingress, ingress]
    assert trial.treatment.header("x-forwarded-for") == [f"{FIRST},{ingress}", f"{SECOND},{ingress}"]


@pytest.mark.feature("PROXY protocol by enableProxyProtocol", place="ingress")
def test_deprecated_field_does_the_same(sent):
    """With a ClientTrafficPolicy's enableProxyProtocol, the ingress takes the client address from the PROXY protocol
    header, and closes connections without the header."""
    trial = sent("enabled", 2, [FIRST, None], REFUSED)

    assert trial.control.statuses == trial.recovery.statuses == [400, 200]
    assert trial.treatment.statuses == [200, None]
    assert trial.treatment.lines[0].client_ip == FIRST
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 1, 0)
    assert trial.treatment.reached == [1, 0]


@pytest.mark.feature("PROXY protocol, connections without it", place="ingress")
def test_connection_without_a_header_is_closed(sent):
    """With a ClientTrafficPolicy's proxyProtocol, the ingress closes connections without a PROXY protocol header, and
    the backend receives nothing."""
    trial = sent("required", 2, [None, None, FIRST], REFUSED)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 400]
    assert trial.treatment.statuses == [None, None, 200]
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 2, 0)
    assert trial.treatment.reached == [0, 0, 1]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("PROXY protocol, optional", place="ingress")
def test_header_is_optional(sent):
    """With a ClientTrafficPolicy's proxyProtocol.optional, requests to the ingress return 200 with and without a PROXY
    protocol header."""
    trial = sent("optional", 2, [FIRST, None], REFUSED)

    assert trial.control.statuses == trial.recovery.statuses == [400, 200]
    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.lines[0].client_ip == FIRST
    assert trial.treatment.lines[1].client_ip == trial.control.lines[0].client_ip != FIRST
    assert trial.treatment.counted == 0


@pytest.mark.feature("Global rate limit by the PROXY protocol's address", place="ingress")
@pytest.mark.usefixtures("rate_limit_window", "rate_limit_service")
def test_each_address_has_a_limit_of_its_own(tries, proxied, applying, here):
    """With a ClientTrafficPolicy's proxyProtocol, a rate limit of 2 per client address at the ingress counts the
    addresses in PROXY protocol headers."""
    request = proxied.get(x_user_id=unique_name("user"))
    probe = proxied.get(x_user_id=unique_name("probe"))

    with applying("client_traffic/proxy_protocol_required.yaml"):
        wait_for_response(proxied.client, probe, status=None)
        trial = tries.configured(
            proxied,
            "client_traffic/proxy_protocol_limit.yaml",
            here(LIMIT),
            lambda: send_from(proxied, request, 2, [FIRST, FIRST, FIRST, SECOND], REFUSED),
            lambda: send_one_from(proxied, probe, 2, FIRST).header("x-ratelimit-limit") is not None,
        )

    assert trial.control.statuses == trial.recovery.statuses == [200] * 4
    assert trial.treatment.statuses == [200, 200, 429, 200]
    assert [line.client_ip for line in trial.treatment.lines] == [FIRST, FIRST, FIRST, SECOND]
    assert (trial.treatment.flags[2], trial.treatment.details[2]) == ("RL", "request_rate_limited")
    assert trial.treatment.reached == [1, 1, 0, 1]
