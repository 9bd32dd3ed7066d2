"""How large a request's headers may be, and how many: Envoy's own limits, which no field of Envoy Gateway changes.

Manifest: manifests/client_traffic/header_size.yaml    Article: none
"""

import pytest

from harness.waits.responses import wait_for_response

pytestmark = pytest.mark.needs("real gateway")
HOST, COUNTER = "large-headers.example", ".downstream_cx_protocol_error"
MANY = {f"x-{n}": "1" for n in range(101)}


def is_served(answer):
    return answer.status == 200


@pytest.mark.feature("Header size limit")
def test_large_headers_are_rejected(applied, place):
    """At the {place}, a request with a header of 62,000 bytes returns 431 and does not reach the backend; one with
    50,000 bytes returns 200."""
    wait_for_response(place.client, place.get(host=HOST), status=200)

    small = place.send_counted([place.get(host=HOST, x_large="a" * 50_000)] * 2, COUNTER, logged=is_served)
    large = place.send_counted([place.get(host=HOST, x_large="a" * 62_000)] * 2, COUNTER, logged=is_served)

    assert (small.statuses, small.counted, small.reached) == ([200, 200], 0, [1, 1])
    assert (large.statuses, large.counted, large.reached) == ([431, 431], 2, [0, 0])


@pytest.mark.feature("Header count limit")
def test_many_headers_are_rejected(applied, place):
    """At the {place}, a request with more than 100 headers returns 431 and does not reach the backend."""
    wait_for_response(place.client, place.get(host=HOST), status=200)

    few = place.send_counted([place.get(host=HOST)] * 2, COUNTER, logged=is_served)
    many = place.send_counted([place.get(host=HOST, **MANY)] * 2, COUNTER, logged=is_served)

    assert (few.statuses, few.counted, few.reached) == ([200, 200], 0, [1, 1])
    assert (many.statuses, many.counted, many.reached) == ([431, 431], 2, [0, 0])
