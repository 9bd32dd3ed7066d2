"""TLS at the ingress: terminated, plain text redirected, clients' certificates, a certificate replaced under load.

Manifest: manifests/tls/ingress.yaml (late.yaml, redirect.yaml, client_certificates.yaml)
Article: none; its ingress has one listener in plain text
"""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from harness.clients.certificates import Authority
from harness.experiments.certificate_replacement import replace_certificate
from harness.waits.responses import wait_for_response
from harness.waits.status import wait_for_condition

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
GATEWAY, HOST, LATE = "Gateway/default/ingress-tls", "secure.example", "late.example"


@pytest.fixture(scope="module")
def plain(applied, kube, client_of, proxy_of, at_ingress, here):
    """The place of that ingress, in plain text."""
    wait_for_condition(kube, here(GATEWAY), "Programmed", about="")
    wait_for_condition(kube, here(GATEWAY), "Programmed", about="listener/secure")
    envoy = proxy_of("ingress-tls")
    with client_of(envoy.gateway, 80) as client:
        yield replace(at_ingress, gateway=envoy.gateway, client=client, envoy=envoy)


@pytest.fixture(scope="module")
def over_tls(plain, client_of):
    """`over_tls(context)`: its place over TLS, for a client with that context."""
    with ExitStack() as stack:
        yield lambda context: replace(plain, client=stack.enter_context(client_of(plain.gateway, 443, tls=context)))


@pytest.fixture(scope="module")
def secure(over_tls, authority):
    """The place over TLS of a client that trusts the authority and has no certificate, seen to answer."""
    place = over_tls(authority.client_context())
    wait_for_response(place.client, place.get(host=HOST), status=200)
    return place


@pytest.fixture
def tried(tries, secure, here):
    """`tried(place, counter)`: two requests of that client before, under and after the policy on clients' certificates,
    with the counter of failed handshakes; it is in force once a client without a certificate gets no answer."""
    return lambda place, counter: tries.configured(
        place,
        "tls/client_certificates.yaml",
        here("ClientTrafficPolicy/default/client-certificates"),
        lambda: place.send_counted([place.get(host=HOST)] * 2, counter),
        lambda: secure.send_one(secure.get(host=HOST)).status is None,
    )


@pytest.mark.feature("TLS terminated", place="ingress")
def test_listener_serves_its_certificate(tries, secure, here):
    """A TLS listener of the ingress accepts connections only while its Secret exists, and presents the certificate
    of the Secret."""
    request = secure.get(host=LATE)

    trial = tries.configured(
        secure,
        "tls/late.yaml",
        here(GATEWAY),
        lambda: secure.send_counted([request] * 2, ".no_filter_chain_match"),
        lambda: secure.send_one(request).status == 200,
        condition="ResolvedRefs",
        about="listener/late",
    )

    assert trial.control.statuses == trial.recovery.statuses == [None, None]
    assert trial.control.counted == trial.recovery.counted == 2
    assert trial.treatment.statuses == [200, 200]
    assert (trial.treatment.answers.served_by, trial.treatment.counted) == (["late", "late"], 0)
    assert trial.treatment.header("x-forwarded-proto") == ["https", "https"]
    assert (trial.control.reached, trial.treatment.reached) == ([0, 0], [1, 1])
    assert {each[0].tls for each in trial.treatment.received} == {False}


@pytest.mark.feature("HTTP redirected to HTTPS", place="ingress")
def test_plain_text_is_redirected(tries, plain, secure, here):
    """An HTTPRoute redirect to HTTPS at the ingress returns 301 with the https URL of the same path, and that URL
    returns 200."""
    request = plain.get("/moved", host=HOST)

    trial = tries.policy(plain, "tls/redirect.yaml", here("HTTPRoute/default/to-https"), [request], 301)
    followed = secure.send([secure.get("/moved", host=HOST)])

    assert trial.control.statuses == trial.recovery.statuses == [404]
    assert trial.treatment.statuses == [301]
    assert trial.treatment.answers.header("location") == [f"https://{HOST}/moved"]
    assert trial.treatment.reached == [0]
    assert (followed.statuses, followed.reached) == ([200], [1])


@pytest.mark.feature("Client certificates", place="ingress")
def test_client_without_certificate_is_rejected(tried, secure):
    """With clientValidation in a ClientTrafficPolicy, the ingress rejects the TLS handshake of a client without a
    certificate."""
    trial = tried(secure, ".ssl.fail_verify_no_cert")

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [None, None]
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 2, 0)
    assert trial.treatment.reached == [0, 0]


@pytest.mark.feature("Client certificates", place="ingress")
def test_certificate_of_another_authority_is_rejected(tried, over_tls, authority):
    """With clientValidation in a ClientTrafficPolicy, the ingress rejects the TLS handshake of a client whose
    certificate is from an untrusted CA."""
    trial = tried(over_tls(authority.client_context(Authority("another").issue("stranger"))), ".ssl.fail_verify_error")

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [None, None]
    assert (trial.control.counted, trial.treatment.counted, trial.recovery.counted) == (0, 2, 0)
    assert trial.treatment.reached == [0, 0]


@pytest.mark.feature("Client certificates", place="ingress")
def test_client_with_certificate_is_served(tried, over_tls, authority):
    """With clientValidation in a ClientTrafficPolicy, the ingress returns 200 to a client whose certificate is from
    the trusted CA."""
    trial = tried(over_tls(authority.client_context(authority.issue("known"))), ".ssl.fail_verify_error")

    assert trial.control.statuses == trial.treatment.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.counted == 0
    assert trial.treatment.reached == [1, 1]


@pytest.mark.feature("Certificate replaced under load", place="ingress")
@pytest.mark.needs("load")
def test_replaced_certificate_loses_nothing(load, ingress_load, kube, authority, secure, here):
    """When the certificate Secret of the ingress is replaced, new connections get the new certificate, and no
    request fails."""
    request, secret = secure.get(host=HOST), here("Secret/default/secure")

    before = secure.send([request])
    with load(ingress_load(request, ingress=secure.client, proxy=secure.envoy)) as background_load:
        with background_load.event("certificate replaced", "no request is lost"):
            second = replace_certificate(kube, authority, secret, "second", secure, request)
        with background_load.event("certificate put back", "no request is lost"):
            first = replace_certificate(kube, authority, secret, "first", secure, request)

    assert before.answers.served_by == ["first"]
    assert (second.answers.served_by, first.answers.served_by) == (["second"], ["first"])
    assert second.statuses == first.statuses == [200]
    assert background_load.timeline.lost == (), background_load.text
