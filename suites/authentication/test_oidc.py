"""OpenID Connect with Dex: the redirect to its login form, the callback, cookies, and logout.

Manifest: manifests/authentication/oidc.yaml    Article: none; authentication is among its reasons for Envoy Gateway
"""

import pytest

from harness.experiments.oidc_session import Login, browser_session, session

pytestmark = [
    pytest.mark.needs("real gateway"),
    pytest.mark.usefixtures("dex"),
    pytest.mark.timeout(300, func_only=True),
]
POLICY, MANIFEST, HOST = "SecurityPolicy/default/oidc", "authentication/oidc.yaml", "shop.localhost"
ALI = {"host": "dex.localhost", "user": "ali@example.com", "password": "open sesame"}
BASES = {"ingress": "", "waypoint": "http://dex:5556"}  # how the client of a place reaches Dex
FORM = ["302 dex.localhost/dex/auth", "302 dex.localhost/dex/auth/local", "200 dex.localhost/dex/auth/local/login"]


@pytest.mark.feature("OIDC (Dex)")
def test_login_is_wanted(tries, place, here):
    """At the {place}, a SecurityPolicy with OIDC returns the page only between login and logout, and 401 for a
    forged callback."""
    login = Login(base=BASES[place.name], **ALI)

    trial = tries.configured(
        place,
        MANIFEST,
        here(POLICY),
        lambda: session(place, HOST, login),
        lambda: place.send_one(place.get("/page", host=HOST)).status == 302,
    )

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200, 200]
    assert trial.treatment.statuses == [401, 302, 302, 200, 200, 302, 302]
    assert trial.treatment.reached == [0, 0, 0, 1, 1, 0, 0]
    assert trial.control.header("authorization") == trial.recovery.header("authorization") == [None] * 4
    assert None not in trial.treatment.header("authorization")[3:5]
    assert trial.treatment.answers[5].header("location") == f"http://{HOST}/"
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("OIDC through a browser", place="ingress")
def test_browser_logs_in_and_out(tries, at_ingress, browser, here):
    """In Chromium, OIDC at the ingress shows the login form of Dex, rejects a wrong password with 401, and shows
    the page from login until logout."""
    login = Login(base=BASES["ingress"], **ALI)

    trial = tries.configured(
        at_ingress,
        MANIFEST,
        here(POLICY),
        lambda: browser_session(at_ingress, browser, HOST, login),
        lambda: at_ingress.send_one(at_ingress.get("/page", host=HOST)).status == 302,
    )

    treatment = trial.treatment
    assert trial.control.opened == trial.recovery.opened == [f"200 {HOST}/page"]
    assert treatment.opened == [f"302 {HOST}/page", *FORM]
    assert treatment.refused == ["401 dex.localhost/dex/auth/local/login"]
    assert treatment.logged_in == [FORM[2].replace("200", "303"), f"302 {HOST}/oauth2/callback", f"200 {HOST}/page"]
    assert treatment.opened_again == [f"200 {HOST}/page"]
    assert treatment.logged_out == [f"302 {HOST}/logout", f"302 {HOST}/", *FORM]
    assert {name.partition("-")[0] for name in treatment.protected} >= {"AccessToken", "IdToken", "OauthHMAC"}
    assert set(treatment.protected.values()) == {True}
    assert [line.status for line in treatment.lines if line.path == "/page"] == [302, 200, 200]
