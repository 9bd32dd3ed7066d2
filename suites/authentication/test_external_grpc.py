"""External authorization over gRPC: Open Policy Agent decides for or against each request.

Manifest: manifests/authentication/external_grpc.yaml (external_grpc_open.yaml, external_grpc_closed.yaml:
nobody listens)
Article: none; authentication is among its reasons for Envoy Gateway
"""

import pytest

pytestmark = [pytest.mark.needs("real gateway"), pytest.mark.timeout(300, func_only=True)]
POLICY = "SecurityPolicy/default/external-grpc"


@pytest.mark.feature("External authorization over gRPC (Open Policy Agent)")
@pytest.mark.usefixtures("opa")
def test_policy_agent_decides(tries, place, here):
    """At the {place}, Open Policy Agent as a gRPC external authorization service decides on each request: a denied
    one returns 403 and an allowed one returns 200."""
    requests = [place.get(), place.get(x_team="red"), place.get(x_team="blue")]

    trial = tries.policy(place, "authentication/external_grpc.yaml", here(POLICY), requests, decided_by_agent)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200, 200]
    assert trial.treatment.statuses == [403, 403, 200]
    assert trial.treatment.flags == ["UAEX", "UAEX", "-"]
    assert trial.treatment.details == ["ext_authz_denied", "ext_authz_denied", "via_upstream"]
    assert trial.treatment.answers.header("x-decided-by") == ["opa", "opa", None]
    assert trial.treatment.reached == [0, 0, 1]
    assert trial.treatment.header("x-decided-by")[2] == "opa"
    assert trial.past == [[200, 200]] * 3


def decided_by_agent(answer):
    return answer.header("x-decided-by") == "opa"


@pytest.mark.feature("External authorization over gRPC, failing closed")
def test_nobody_passes_without_the_service(tries, place, here):
    """At the {place}, requests return 403 with response flag UAEX when the gRPC external authorization service does
    not listen and failOpen is false."""
    policy, manifest = f"{here(POLICY)}-closed", "authentication/external_grpc_closed.yaml"

    trial = tries.policy(place, manifest, policy, [place.get()] * 2, 403)

    assert trial.control.statuses == trial.recovery.statuses == [200, 200]
    assert (trial.treatment.statuses, trial.treatment.flags) == ([403, 403], ["UAEX", "UAEX"])
    assert trial.treatment.details == ["ext_authz_error"] * 2
    assert trial.treatment.reached == [0, 0]
    assert trial.past == [[200, 200]] * 3


@pytest.mark.feature("External authorization over gRPC, failing open")
def test_everybody_passes_without_the_service(tries, place, here):
    """At the {place}, requests return 200 when the gRPC external authorization service does not listen and failOpen
    is true."""
    trial = tries.configured(
        place,
        "authentication/external_grpc_open.yaml",
        f"{here(POLICY)}-open",
        lambda: place.send([place.get()] * 2),
        lambda: any("ext_authz" in name for name in place.route.get("typed_per_filter_config", {})),
    )

    assert trial.treatment.statuses == [200, 200]
    assert trial.treatment.reached == [1, 1]
    assert trial.past == [[200, 200]] * 3
