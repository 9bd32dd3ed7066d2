"""TLSRoute: passed through at the ingress and at a waypoint, terminated at the ingress.

Manifest: manifests/tls/route.yaml (route_added.yaml)    Article: none; routes of the Gateway API are among its reasons
"""

from dataclasses import replace

import pytest

from harness.components import Echo
from harness.waits import bind_to_waypoint, rollouts
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module")
def backend(applied, kube, here):
    """The backend that serves TLS, ready."""
    rollouts.wait_for_rollout(kube, here("Deployment/default/echo-passed"))
    return Echo(kube, "app=echo-passed", scheme="https")


@pytest.fixture(scope="module")
def passing(backend, kube, client_of, proxy_of, at_ingress, authority, here):
    """The place of that ingress, its listener of TLS passed through."""
    wait_for_condition(kube, here("Gateway/default/ingress-sni"), "Programmed", about="")
    envoy = proxy_of("ingress-sni")
    with client_of(envoy.gateway, 8443, tls=authority.client_context()) as client:
        yield replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy, echo=backend)


@pytest.fixture(scope="module")
def terminating(passing, client_of, at_ingress, authority):
    """The place of its other listener, in front of the backend in plain text."""
    with client_of(passing.gateway, 8444, tls=authority.client_context()) as client:
        yield replace(passing, client=client, echo=at_ingress.echo)


@pytest.fixture(scope="module")
def waypoint_sni(backend, kube, proxy_of, at_waypoint, here):
    """The place of that waypoint, to which the backend's Service is bound."""
    wait_for_condition(kube, here("Gateway/default/waypoint-sni"), "Programmed", about="")
    envoy = proxy_of("waypoint-sni")
    bind_to_waypoint.bind_service(kube, "echo-passed", "waypoint-sni")
    return replace(at_waypoint, gateway=envoy.gateway, base="https://echo-passed:9443", envoy=envoy, echo=backend)


@pytest.fixture
def tried(tries, here):
    """`tried(place, route, host)`: a request to that TLS server name before, under and after the routes."""
    return lambda place, route, host: tries.configured(
        place,
        "tls/route_added.yaml",
        here(f"TLSRoute/default/{route}"),
        lambda: place.send_by_server_name([place.get(host=host)], host),
        lambda: place.send_one(place.get(host=host)).status == 200,
    )


@pytest.mark.feature("TLSRoute, passed through", place="ingress")
def test_ingress_passes_tls_through(tried, passing):
    """Through a TLSRoute with mode Passthrough at the ingress, the client receives the backend's certificate."""
    trial = tried(passing, "passed", "passed.example")

    assert trial.control.statuses == trial.recovery.statuses == [None]
    assert (trial.treatment.statuses, trial.treatment.answers.served_by) == ([200], ["backend"])
    assert [each[0].tls for each in trial.treatment.received] == [True]
    assert {(line.method, line.flags) for line in trial.treatment.lines} == {(None, "-")}


@pytest.mark.feature("TLSRoute, passed through", place="waypoint")
def test_waypoint_passes_tls_through(tried, waypoint_sni):
    """Through a TLSRoute with mode Passthrough at a waypoint, the client receives the backend's certificate."""
    trial = tried(waypoint_sni, "passed-in-mesh", "echo-passed")

    assert trial.control.statuses == trial.recovery.statuses == [None]
    assert (trial.treatment.statuses, trial.treatment.answers.served_by) == ([200], ["backend"])
    assert [each[0].tls for each in trial.treatment.received] == [True]
    assert {(line.method, line.flags) for line in trial.treatment.lines} == {(None, "-")}


@pytest.mark.feature("TLSRoute, terminated", place="ingress")
def test_ingress_terminates_tls(tried, terminating):
    """Through a TLSRoute with mode Terminate at the ingress, the client receives the Gateway's certificate, and the
    backend receives plaintext."""
    trial = tried(terminating, "terminated", "terminated.example")

    assert trial.control.statuses == trial.recovery.statuses == [None]
    assert (trial.treatment.statuses, trial.treatment.answers.served_by) == ([200], ["gateway"])
    assert [(each[0].backend, each[0].tls) for each in trial.treatment.received] == [("echo-v1", False)]
    assert {(line.method, line.flags) for line in trial.treatment.lines} == {(None, "-")}
