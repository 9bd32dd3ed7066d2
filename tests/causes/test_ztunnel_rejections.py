"""What ztunnel and the mesh's labels say of a failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from harness.causes.rules import find_causes
from harness.causes.state import ClientRequest, ClusterState, FailureFacts
from harness.logs import ztunnel
from harness.logs.ztunnel import Endpoint, ZtunnelLine
from tests.fakes.api import Object, named
from tests.recordings import text

LINES = ztunnel.parse_ztunnel_log(text("variants/ztunnel-two-nodes.log")).lines
INBOUND = next(line for line in LINES if line.direction == "inbound" and line.src.identity and line.dst.workload)
REJECTED = "connection closed due to policy rejection: "
FAILED = FailureFacts(text="assert [503] == [200]", calls=[ClientRequest("", 503)])


def rejected(reason: str) -> ZtunnelLine:
    """A recorded connection, ended by a policy in ztunnel's words (istio/ztunnel, pull request 1273)."""
    return replace(INBOUND, error=REJECTED + reason, level="error")


def allow(name: str, app: str) -> Object:
    """An ALLOW policy for pods of an application."""
    spec = {"action": "ALLOW", "selector": {"matchLabels": {"app": app}}}
    return named(f"AuthorizationPolicy/{INBOUND.dst.namespace}/{name}", spec=spec)


def why(state: ClusterState, failure: FailureFacts = FAILED) -> list[str]:
    return [cause.sentence for cause in find_causes(state, failure)]


def test_policy_that_denies_is_named() -> None:
    causes = why(ClusterState(connections=[rejected("explicitly denied by: default/deny-waypoint")]))

    assert causes == [
        f"AuthorizationPolicy default/deny-waypoint denies {INBOUND.src.identity}: ztunnel rejected its connection to "
        f"pod {INBOUND.dst.namespace}/{INBOUND.dst.workload}"
    ]


def test_peer_authentication_behind_istiods_policy_is_named() -> None:
    """istiod makes policies of PeerAuthentications, which ztunnel names and nobody can look up (read on kind, Istio
    1.29.1, under STRICT)."""
    plain = rejected("explicitly denied by: istio-system/istio_converted_static_strict")
    plain = replace(plain, src=replace(plain.src, identity=None))
    strict = named("PeerAuthentication/default/early", spec={"mtls": {"mode": "STRICT"}})
    permissive = named("PeerAuthentication/default/late", spec={"mtls": {"mode": "PERMISSIVE"}})
    by_port = rejected("explicitly denied by: default/converted_peer_authentication_ports")
    whom = (
        f"the plaintext connection of a client without identity to pod {INBOUND.dst.namespace}/{INBOUND.dst.workload}"
    )

    now = why(ClusterState({"PeerAuthentication": [strict, permissive]}, connections=[plain]))
    gone = why(ClusterState({"PeerAuthentication": []}, connections=[plain]))

    assert now[0] == f"PeerAuthentication default/early requires mTLS: ztunnel rejected {whom}"
    assert gone[0] == f"A PeerAuthentication of mode STRICT requires mTLS: ztunnel rejected {whom}"
    assert why(ClusterState(connections=[by_port]))[0].startswith("PeerAuthentication default/ports requires mTLS")


def test_policies_that_do_not_allow_are_named() -> None:
    """Those that select the pod that was called, and no others."""
    pod = named(f"Pod/{INBOUND.dst.namespace}/{INBOUND.dst.workload}", metadata={"labels": {"app": "ratings"}})
    objects = {"Pod": [pod], "AuthorizationPolicy": [allow("through-waypoint", "ratings"), allow("other", "details")]}

    causes = why(ClusterState(objects, connections=[rejected("allow policies exist, but none allowed")]))

    assert "AuthorizationPolicy default/through-waypoint" in causes[0]
    assert "default/other" not in causes[0]


def test_policies_of_the_root_namespace_are_named() -> None:
    """They are for every namespace; where the root namespace is, the mesh says."""
    everywhere = named("AuthorizationPolicy/mesh/nobody", spec={})
    deny = named("AuthorizationPolicy/mesh/deny", spec={"action": "DENY", "rules": []})
    none_allowed = [rejected("allow policies exist, but none allowed")]

    there = ClusterState({"AuthorizationPolicy": [everywhere]}, connections=none_allowed, root_namespace="mesh")
    elsewhere = ClusterState({"AuthorizationPolicy": [everywhere]}, connections=none_allowed)
    unread = ClusterState({"AuthorizationPolicy": [deny]}, root_namespace="mesh")

    assert "AuthorizationPolicy mesh/nobody" in why(there)[0]
    assert "mesh/nobody" not in why(elsewhere)[0]
    assert any("mesh/deny" in one and "to the whole mesh" in one for one in why(unread))


def test_client_that_a_policy_lets_in_beside_those_it_rejects_is_named() -> None:
    """By its identity, and of the time in which others were rejected; a waypoint is to be let in."""
    at = INBOUND.time
    closed = [
        replace(rejected("allow policies exist, but none allowed"), time=at + timedelta(seconds=n)) for n in (0, 9)
    ]
    closed = [replace(line, src=replace(line.src, identity=None, workload="outsider-1")) for line in closed]
    served = replace(INBOUND, time=at + timedelta(seconds=5), duration_ms=1.0)
    failed = FailureFacts(text="assert {'to the pod': 200} == {'to the pod': None}")
    here = f"{INBOUND.dst.namespace}/{INBOUND.dst.workload}"

    value = why(ClusterState(connections=[*closed, served]), failed)

    assert value[0] == (
        f"ztunnel accepted the connection of {INBOUND.src.identity} to pod {here}, where a policy rejected a client "
        "without identity"
    )
    later = replace(served, time=at + timedelta(seconds=20))
    assert not any("accepted" in one for one in why(ClusterState(connections=[*closed, later]), failed))
    gateway = named(
        f"Pod/{INBOUND.src.namespace}/{INBOUND.src.workload}",
        metadata={"labels": {"gateway.envoyproxy.io/owning-gateway-name": "waypoint"}},
    )
    state = ClusterState({"Pod": [gateway]}, connections=[*closed, served])
    assert not any("accepted" in one for one in why(state, failed))


def test_rejection_by_the_suites_policy_that_is_gone_is_not_foreign() -> None:
    """Nobody's policy explains it, and the harness has deleted one."""
    line = rejected("allow policies exist, but none allowed")
    removed = frozenset({"AuthorizationPolicy/default/ours"})

    served = FailureFacts(text="assert 1 == 2")
    assert why(ClusterState(connections=[line]), served) != []
    assert why(ClusterState(connections=[line], removed=removed), served) == []
    assert why(ClusterState(connections=[line], removed=removed)) != []  # of a request that failed


def test_rejection_that_the_suite_wants_is_no_cause_of_another_failure() -> None:
    """Its own policy rejects; the claim failed without a failed request."""
    ours = frozenset({"AuthorizationPolicy/default/ours"})
    state = ClusterState(connections=[rejected("explicitly denied by: default/ours")], ours=ours)

    assert why(state, FailureFacts(text="assert 1 == 2")) == []
    assert "default/ours" in why(state)[0]


def test_deny_policy_is_named_without_a_line_of_ztunnel() -> None:
    """Its line comes when the connection closes, maybe later."""
    source = {"source": {"principals": ["cluster.local/ns/default/sa/waypoint"]}}
    spec = {"action": "DENY", "selector": {"matchLabels": {"app": "ratings"}}, "rules": [{"from": [source]}]}
    state = ClusterState({"AuthorizationPolicy": [named("AuthorizationPolicy/default/deny", spec=spec)]})

    assert why(state) == [
        "AuthorizationPolicy default/deny (not of this suite) denies cluster.local/ns/default/sa/waypoint to pods with "
        "app=ratings"
    ]


def test_namespace_outside_of_the_mesh_is_named() -> None:
    """By its label, absent or other; with the label nothing is reported."""
    protocols = FailureFacts(text="AssertionError: {'worker': ('TCP',)}")

    def of(**labels: str) -> list[str]:
        namespace = named("Namespace/default", metadata={"labels": {k.replace("_", "/"): v for k, v in labels.items()}})
        return why(ClusterState({"Namespace": [namespace]}), protocols)

    assert "Namespace default lacks the label istio.io/dataplane-mode=ambient" in of()[0]
    assert "Namespace default has istio.io/dataplane-mode=none" in of(**{"istio.io_dataplane-mode": "none"})[0]
    assert of(**{"istio.io_dataplane-mode": "ambient"}) == []


def test_pod_outside_of_the_mesh_is_named_unless_the_harness_keeps_it_there() -> None:
    """By the label of the pod; not where the Deployment has it as the harness applied it."""
    outside = {"app": "outside", "istio.io/dataplane-mode": "none"}
    found = {
        "Namespace": [named("Namespace/default", metadata={"labels": {"istio.io/dataplane-mode": "ambient"}})],
        "Pod": [named("Pod/default/outside-1", metadata={"labels": {**outside, "pod-template-hash": "1"}})],
    }
    template = {"spec": {"template": {"metadata": {"labels": outside}}}}
    wanted = {"Deployment/default/outside": named("Deployment/default/outside", **template)}
    failure = FailureFacts(text="AssertionError: {'worker': ('TCP',)}")

    assert "Pod default/outside-1 has the label" in why(ClusterState(found), failure)[0]
    assert why(ClusterState(found, wanted=wanted), failure) == []


def test_port_that_ztunnel_could_not_bind_is_named() -> None:
    failures = ztunnel.parse_bind_failures(text("eg-1.9.0/ztunnel-port-15008-clash.log"))

    causes = why(ClusterState(bind_failures=failures), FailureFacts(text="assert set() == {'worker'}"))

    assert failures
    assert "ztunnel could not bind [::]:15008" in causes[0]


def test_component_without_pods_is_named() -> None:
    deployment = named(
        "Deployment/redis-system/redis",
        spec={"replicas": 0, "template": {"metadata": {"labels": {"app": "redis"}}}},
    )

    assert why(ClusterState({"Deployment": [deployment], "Pod": []})) == [
        "Redis has no pod: Deployment redis-system/redis is scaled to 0"
    ]


OUTBOUND = next(line for line in LINES if line.direction == "outbound" and line.is_ok and line.dst.hbone_addr)


def pods(*ends: Endpoint, account: str = "") -> list[Object]:
    """The pods of these ends, in an enrolled namespace, under the service accounts that the ends' identities name."""
    return [
        named(
            f"Pod/{end.namespace}/{end.workload}",
            spec={"serviceAccountName": account or (end.identity or "").rpartition("/")[2]},
        )
        for end in ends
    ]


def carried(line: ZtunnelLine, found: list[Object], text: str = "assert 1 == 2", removed: str = "") -> list[str]:
    objects = {
        "Pod": found,
        "Service": [],
        "Namespace": [named("Namespace/default", metadata={"labels": {"istio.io/dataplane-mode": "ambient"}})],
    }
    return why(ClusterState(objects, connections=[line], removed=frozenset({removed})), FailureFacts(text=text))


BOTH = (OUTBOUND.src, OUTBOUND.dst)


def test_connection_as_it_should_be_is_no_cause() -> None:
    assert carried(OUTBOUND, pods(*BOTH)) == []


def test_identity_of_another_account_is_named() -> None:
    assert carried(OUTBOUND, pods(*BOTH, account="other"))[0] == (
        f"Pod {OUTBOUND.src.namespace}/{OUTBOUND.src.workload} has the identity "
        f"{OUTBOUND.src.identity}, and its service "
        "account is other"
    )


def test_hbone_to_another_port_is_named() -> None:
    line = replace(OUTBOUND, dst=replace(OUTBOUND.dst, addr="10.244.0.9:15009"))

    assert carried(line, pods(*BOTH))[0].endswith("to 10.244.0.9:15009, not to port 15008")


def test_plain_connection_of_enrolled_pods_is_named() -> None:
    line = replace(OUTBOUND, dst=replace(OUTBOUND.dst, hbone_addr=None))

    assert carried(line, pods(*BOTH))[0].endswith("as plain TCP, though both pods are in the mesh")


def test_workload_that_does_not_exist_is_named() -> None:
    """Where the claim is about it: pods of before are in the log, too, as are those that the harness deleted."""
    name = OUTBOUND.dst.workload or ""
    message = f"ztunnel's log names workload {OUTBOUND.dst.namespace}/{name}, and there is no such pod"

    assert carried(OUTBOUND, pods(OUTBOUND.src), f"assert '{name}' == 'x'") == [message]
    assert carried(OUTBOUND, pods(OUTBOUND.src)) == []
    deleted = f"Pod/{OUTBOUND.dst.namespace}/{name}"
    assert carried(OUTBOUND, pods(OUTBOUND.src), f"assert '{name}' == 'x'", removed=deleted) == []


def test_error_of_a_connection_is_named_with_the_claim_that_quotes_it() -> None:
    line = replace(OUTBOUND, error="io error: reset")

    assert carried(line, pods(*BOTH), "AssertionError: io error: reset")[0].endswith(": io error: reset")
    assert carried(line, pods(*BOTH)) == []


def test_connection_past_a_services_waypoint_is_named() -> None:
    line = replace(OUTBOUND, dst=replace(OUTBOUND.dst, service="ratings.default.svc.cluster.local"))
    service = named("Service/default/ratings", metadata={"labels": {"istio.io/use-waypoint": "w"}})
    objects = {"Pod": pods(*BOTH), "Service": [service], "Namespace": []}

    (causes,) = why(ClusterState(objects, connections=[line]), FailureFacts(text="assert 1 == 2"))

    assert causes.endswith("past Gateway w, the waypoint of Service default/ratings")
