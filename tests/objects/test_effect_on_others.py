"""Which changes concern others than the run: judged by the object's name alone."""

from __future__ import annotations

import pytest

from harness.errors import NotAllowed
from harness.objects.effect_on_others import affects_others, check_affects_no_others
from harness.objects.kind_namespace_name import parse_ref
from harness.objects.namespace_mapping import AS_WRITTEN, Placement

OURS = Placement("team-a")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("GatewayClass/eg-other", "GatewayClass/eg-other (cluster-wide)"),
        ("GatewayClass/team-a-eg-ingress", ""),
        ("GatewayClass/team-ab-eg-ingress", "GatewayClass/team-ab-eg-ingress (cluster-wide)"),
        ("Node/team-a", "Node/team-a (cluster-wide)"),
        ("Namespace/team-a", ""),
        ("Namespace/team-a-elsewhere", ""),
        ("Namespace/elsewhere", "Namespace/elsewhere (cluster-wide)"),
        ("Namespace/default", "Namespace/default (cluster-wide)"),
        ("Deployment/istio-system/istiod", "Deployment/istio-system/istiod"),
        ("Pod/team-b/web-1", "Pod/team-b/web-1"),
        ("Deployment/default/waypoint", "Deployment/default/waypoint"),
        ("Deployment/team-a/waypoint", ""),
        ("PeerAuthentication/team-a/strict", ""),
    ],
)
def test_a_name_says_whether_others_are_concerned(name: str, why: str) -> None:
    """What lives in no namespace, or in one that is not the run's, is not ours: `default` neither."""
    assert affects_others(parse_ref(name), OURS) == why


def test_what_is_written_is_judged_as_it_is_written() -> None:
    """Suites are written for `default`; what they name there and in `elsewhere` is moved with them."""
    names = ["Namespace/default", "Gateway/default/x", "Service/elsewhere/x", "GatewayClass/eg-ingress"]

    assert [affects_others(parse_ref(name), AS_WRITTEN) for name in names] == [""] * 4
    assert affects_others(parse_ref("GatewayClass/istio"), AS_WRITTEN) == "GatewayClass/istio (cluster-wide)"


def test_all_that_is_not_ours_is_named_at_once() -> None:
    """In one error, before anything is changed."""
    with pytest.raises(NotAllowed) as refused:
        check_affects_no_others(
            [parse_ref("Node/a"), parse_ref("Pod/team-a/x"), parse_ref("Pod/default/x")], OURS, "not yours"
        )

    assert str(refused.value) == "disruptive: not yours: Node/a (cluster-wide), Pod/default/x"
