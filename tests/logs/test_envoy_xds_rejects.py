"""Envoy's own log: what it refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.logs.envoy_xds_rejects import Rejection, parse_rejections
from tests.recordings import text
from tests.recordings.shapes import fuzz

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
BIND = "cannot bind '0.0.0.0:15008': Address already in use"


def test_listener_that_cannot_bind_is_refused_once() -> None:
    """Envoy writes the refusal three times; it is one NACK."""
    assert parse_rejections(text("port-15008-clash/waypoint-envoy.log")) == (
        Rejection(
            datetime(2026, 11, 21, 0, 33, 6, 316000, tzinfo=UTC), "default/waypoint/fake-hbone-port", BIND, LISTENER
        ),
    )


def test_newer_envoy_says_the_same() -> None:
    """Envoy 1.39 adds a fourth line (lds) and moves its own source lines; the refusal is read all the same."""
    found = parse_rejections(text("eg-1.9.0/waypoint-envoy.log"))

    assert {(r.resource, r.text, r.type_url) for r in found} == {("default/waypoint/fake-hbone-port", BIND, LISTENER)}


@pytest.mark.parametrize("name", ["logs/ingress-envoy.log", "variants/waypoint2-envoy.log"])
def test_healthy_proxy_refused_nothing(name: str) -> None:
    """A lost stream to the control plane is no refusal; the annotation form of the waypoint has none at all."""
    assert parse_rejections(text(name)) == ()


def test_empty_log_has_no_refusals() -> None:
    """Nothing written is nothing seen."""
    assert parse_rejections("") == ()


def test_two_resources_of_one_update_are_two() -> None:
    """Envoy joins them with a comma, each on its own line."""
    log = "[2026-11-21 00:33:06.316][1][warning][config] [x.cc:1] gRPC config for t rejected: "
    log += "Error adding/updating listener(s) a/b/c: cannot bind '0.0.0.0:1': in use\n, d/e/f: no filter\n\n[2026"

    assert [(r.resource, r.text) for r in parse_rejections(log)] == [
        ("a/b/c", "cannot bind '0.0.0.0:1': in use"),
        ("d/e/f", "no filter"),
    ]


def test_update_refused_as_a_whole_names_no_resource() -> None:
    """A refusal in other words is kept with its text; a head that is cut off only costs the time."""
    assert parse_rejections("config] gRPC config for t rejected: Proto constraint\nvalidation failed") == (
        Rejection(None, "", "Proto constraint validation failed", "t"),
    )


def test_a_request_that_quotes_a_refusal_is_none() -> None:
    """What a client puts in its path is not Envoy's word."""
    assert parse_rejections('{"x-envoy-origin-path":"/gRPC config for t rejected: Error adding/updating x y: z"}') == ()


@fuzz
@given(st.text() | st.builds("[2026-11-21 00:33:06.316][1][w][c] gRPC config for t rejected: {}".format, st.text()))
def test_any_text_can_be_read(anything: str) -> None:
    """Garbage is never raised."""
    assert all(rejection.type_url for rejection in parse_rejections(anything))
