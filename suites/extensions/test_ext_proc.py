"""External processing (ext_proc): a gRPC service edits the headers of requests and responses.

Manifest: manifests/extensions/ext_proc.yaml (ext_proc_open.yaml, ext_proc_closed.yaml: nobody listens)
Article: none; extensions are among its reasons for Envoy Gateway
"""

import json
from urllib.parse import quote

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "EnvoyExtensionPolicy/default/ext-proc"
EDIT_REQUEST = json.dumps({"addHeaders": {"x-processed": "request"}, "removeHeaders": ["x-team"]})
EDIT_RESPONSE = "/?header=" + quote("instructions:" + json.dumps({"addHeaders": {"x-processed": "response"}}))


@pytest.mark.feature("External processing (ext_proc)")
@pytest.mark.usefixtures("ext_proc")
def test_processor_edits_headers(tries, place, here):
    """At the {place}, an external processor (ext_proc) edits request and response headers, and a request on which the
    processor fails returns 500."""
    edited = place.get(EDIT_RESPONSE, instructions=EDIT_REQUEST, x_team="blue")
    requests = [edited, place.get(x_team="blue"), place.get(instructions="no JSON")]

    trial = tries.policy(place, "extensions/ext_proc.yaml", here(POLICY), requests, processed)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.control.header("x-processed") == trial.recovery.header("x-processed") == [None, None, None]
    assert trial.control.header("x-team") == trial.recovery.header("x-team") == ["blue", "blue", None]
    assert trial.treatment.statuses == [200, 200, 500]
    assert trial.treatment.reached == [1, 1, 0]
    assert trial.treatment.header("x-processed") == ["request", None, None]
    assert trial.treatment.header("x-team") == [None, "blue", None]
    assert trial.treatment.answers.header("x-processed") == ["response", None, None]
    assert reasons(trial.treatment) == ["via_upstream", "via_upstream", "ext_proc_error_gRPC_error_2"]
    assert trial.past == [[200, 200]] * 3


def processed(answer):
    return answer.header("x-processed") == "response"


def reasons(arm):
    """Envoy's response code details without what the processor or the connection to it added in braces."""
    return [details.partition("{")[0] for details in arm.details]


@pytest.mark.feature("External processing, failing closed")
def test_nobody_passes_without_the_processor(tries, place, here):
    """At the {place}, requests return 500 when the external processor does not listen and failOpen is false."""
    policy, manifest = f"{here(POLICY)}-closed", "extensions/ext_proc_closed.yaml"

    trial = tries.policy(place, manifest, policy, [place.get()] * 2, 500)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert trial.treatment.statuses == [500, 500]
    assert reasons(trial.treatment) == ["ext_proc_error_gRPC_error_14"] * 2
    assert trial.treatment.reached == [0, 0]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("External processing, failing open")
def test_everybody_passes_without_the_processor(tries, place, here):
    """At the {place}, requests return 200 when the external processor does not listen and failOpen is true."""
    trial = tries.configured(
        place,
        "extensions/ext_proc_open.yaml",
        f"{here(POLICY)}-open",
        lambda: place.send([place.get()] * 2),
        lambda: any("ext_proc" in name for name in place.route.get("typed_per_filter_config", {})),
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.reached == [1, 1]
    assert trial.past == [[200, 200]] * 3
