"""Each circumstance gives its row: judged, or not, with the capabilities whose tests are skipped."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cluster.protocol import CAPABILITIES
from harness.objects.stack_places import DEFAULT_PLACES, StackPlaces
from harness.preflight import catalogue
from harness.preflight.required_rights import RIGHTS
from tests.audit.planted import CONFIG, definition, deployment, obj
from tests.preflight.clusters import Cluster, Plant, daemon_set, lease, limiter, node

NETWORK, ADMISSION = "networking.k8s.io/v1", "admissionregistration.k8s.io/v1"


def log(**setting: Any) -> Plant:
    def plant(c: Cluster) -> None:
        c.get("EnvoyProxy", "waypoint")["spec"]["telemetry"] = {"accessLog": {"settings": [setting]}}

    return plant


def moved(kind: str, name: str, namespace: str) -> Plant:
    return lambda c: c.get(kind, name)["metadata"].update(namespace=namespace)


def policy(**spec: Any) -> Plant:
    return lambda c: c.add(obj("NetworkPolicy", "deny", "default", NETWORK, spec={"podSelector": {}, **spec}))


def changed(**changes: Any) -> Plant:
    return lambda c: c.changes.update(changes)


def both(*plants: Plant) -> Plant:
    return lambda c: [plant(c) for plant in plants][-1]


def revisioned(c: Cluster) -> None:
    c.remove("Deployment", "istiod")
    canary = deployment("istiod-canary", "mesh", "istio/pilot:1.30.3", app="istiod", **{"istio.io/rev": "canary"})
    c.add(canary)


def second_revision(c: Cluster) -> None:
    c.add(deployment("istiod-canary", "istio-system", "istio/pilot:1.30.3", app="istiod", **{"istio.io/rev": "canary"}))


def denying(c: Cluster) -> None:
    rules = [{"apiGroups": ["gateway.networking.k8s.io"], "operations": ["CREATE"], "resources": ["gateways"]}]
    c.add(
        obj("ValidatingAdmissionPolicy", "no", "", ADMISSION, spec={"matchConstraints": {"resourceRules": rules}}),
        obj(
            "ValidatingAdmissionPolicyBinding",
            "no",
            "",
            ADMISSION,
            spec={"policyName": "no", "validationActions": ["Deny"]},
        ),
        obj("ValidatingWebhookConfiguration", "guard", "", ADMISSION, webhooks=[{"rules": rules}]),
        obj("ValidatingWebhookConfiguration", "istio-validator", "", ADMISSION, webhooks=[{"rules": rules}]),
    )


def controller_namespace(c: Cluster) -> None:
    c.config = {**CONFIG, "provider": {"kubernetes": {}}}


def enforced(level: str) -> Plant:
    marks = {"pod-security.kubernetes.io/enforce": level}
    return lambda c: c.get("Namespace", "default")["metadata"]["labels"].update(marks)


def flush(*env: tuple[str, str]) -> Plant:
    return lambda c: (c.remove("Deployment", "envoy-ratelimit"), c.add(limiter(*env)))[0]


def scaled(c: Cluster) -> None:
    c.get("EnvoyProxy", "waypoint")["spec"]["provider"]["kubernetes"] = {"envoyDeployment": {"replicas": 3}}


def quiet(c: Cluster) -> None:
    c.remove("DaemonSet", "ztunnel")
    c.add(daemon_set("ztunnel", "kube-system", "istio/ztunnel:1.29.1", ("RUST_LOG", "warn"), app="ztunnel"))


def untrusted(c: Cluster) -> None:
    """As on kind: ztunnel was moved, and istiod went on to trust the account of its old namespace."""
    moved("DaemonSet", "ztunnel", "kube-system")(c)
    (container,) = c.get("Deployment", "istiod")["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "CA_TRUSTED_NODE_ACCOUNTS", "value": "istio-system/ztunnel"}]


NOTHING = ("judged", ())
CASES: dict[str, tuple[Plant, str, str, tuple[str, ...], str]] = {
    # what is planted, subject, verdict, capabilities that are lacking, what the row says
    "default mode": (
        controller_namespace,
        "Envoy Gateway's mode",
        "not judged",
        ("ingress", "waypoint"),
        "GatewayNamespace",
    ),
    "no Envoy Gateway": (
        lambda c: c.remove("Deployment", "envoy-gateway"),
        "Envoy Gateway",
        "not judged",
        ("stack",),
        "INSTALL=1",
    ),
    "no ambient": (
        lambda c: c.remove("DaemonSet", "ztunnel"),
        "ztunnel",
        "not judged",
        ("stack",),
        "app=ztunnel",
    ),
    "ztunnel elsewhere": (
        moved("DaemonSet", "ztunnel", "kube-system"),
        "ztunnel",
        *NOTHING,
        "kube-system/ztunnel",
    ),
    "ztunnel elsewhere, disruptive": (
        both(moved("DaemonSet", "ztunnel", "kube-system"), changed(disruptive=True)),
        "ztunnel",
        "not judged",
        ("disruptive",),
        "istio-system/ztunnel alone",
    ),
    "ztunnel elsewhere, untrusted": (
        untrusted,
        "ztunnel's certificates",
        "not judged",
        ("stack",),
        "trustedZtunnelNamespace=kube-system",
    ),
    "Envoy Gateway elsewhere": (
        moved("Deployment", "envoy-gateway", "edge"),
        "Envoy Gateway",
        *NOTHING,
        "edge, version",
    ),
    "Envoy Gateway elsewhere, disruptive": (
        both(moved("Deployment", "envoy-gateway", "edge"), changed(disruptive=True)),
        "Envoy Gateway",
        "not judged",
        ("disruptive",),
        "envoy-gateway-system alone",
    ),
    "CNI elsewhere": (
        moved("DaemonSet", "istio-cni-node", "kube-system"),
        "Istio CNI",
        *NOTHING,
        "kube-system/",
    ),
    "two revisions": (second_revision, "istiod", *NOTHING, "istio-system/istiod"),
    "revision": (revisioned, "istiod", *NOTHING, "mesh/istiod-canary, revision canary"),
    "no class": (lambda c: c.remove("GatewayClass", "eg-waypoint"), "GatewayClass eg-waypoint", *NOTHING, "by the run"),
    "class of others": (
        lambda c: c.get("GatewayClass", "eg-waypoint")["spec"].update(controllerName="example.org/other"),
        "GatewayClass eg-waypoint",
        "not judged",
        ("waypoint",),
        "example.org/other",
    ),
    "quiet ztunnel": (quiet, "ztunnel's log", "not judged", ("ztunnel log",), "RUST_LOG=info"),
    "trust domain": (
        changed(mesh={"mesh/istio-canary": {"trustDomain": "mesh.example"}}),
        "trust domain",
        *NOTHING,
        "mesh.example (ConfigMap mesh/istio-canary)",
    ),
    "mesh configuration unread": (
        changed(mesh={}, mesh_unread={"istio-system/istio": "forbidden"}),
        "trust domain",
        "unknown",
        (),
        "forbidden",
    ),
    "text log": (
        log(format={"type": "Text", "text": "x"}),
        "access log of eg-waypoint",
        "not judged",
        ("access log",),
        "Text",
    ),
    "log to a collector": (
        log(sinks=[{"type": "OpenTelemetry"}]),
        "access log of eg-waypoint",
        "not judged",
        ("access log",),
        "OpenTelemetry",
    ),
    "keys missing": (
        log(format={"type": "JSON", "json": {"start_time": "%START_TIME%"}}),
        "access log of eg-waypoint",
        "not judged",
        ("access log",),
        "user-agent",
    ),
    "log of some requests": (
        log(matches=["response.code >= 400"]),
        "access log of eg-waypoint",
        "not judged",
        ("access log",),
        "JSON",
    ),
    "log to a file and standard output": (
        log(sinks=[{"type": "OpenTelemetry"}, {"type": "File", "file": {"path": "/dev/stdout"}}]),
        "access log of eg-waypoint",
        *NOTHING,
        "JSON on standard output",
    ),
    "log by default": (
        lambda c: c.get("EnvoyProxy", "waypoint")["spec"].pop("extraArgs"),
        "access log of eg-waypoint",
        *NOTHING,
        "every 10 s",
    ),
    "three replicas": (scaled, "replicas of eg-waypoint", *NOTHING, "3"),
    "counters by default": (flush(), "rate limit counters", "not judged", ("limiter counters",), "every 10 s"),
    "counters every half minute": (
        flush(("STATS_FLUSH_INTERVAL", "0m30s")),
        "rate limit counters",
        "not judged",
        ("limiter counters",),
        "every 30 s",
    ),
    "no limiter": (
        lambda c: c.remove("Deployment", "envoy-ratelimit"),
        "rate limit service",
        "not judged",
        ("rate limit",),
        "rateLimit.backend",
    ),
    "limiter not ready": (
        lambda c: c.get("Deployment", "envoy-ratelimit").update(status={"replicas": 1, "updatedReplicas": 1}),
        "rate limit service",
        "not judged",
        ("rate limit",),
        "0/1 ready",
    ),
    "one node": (
        lambda c: c.remove("Node", "worker-2"),
        "nodes",
        "not judged",
        ("two nodes",),
        "control-plane:NoSchedule",
    ),
    "Windows": (
        lambda c: (c.remove("Node", "worker-2"), c.add(node("worker-2", system="windows")))[0],
        "nodes",
        "not judged",
        ("two nodes",),
        "worker-2 runs windows",
    ),
    "no node": (
        lambda c: (c.remove("Node", "worker-1"), c.remove("Node", "worker-2"))[0],
        "nodes",
        "not judged",
        ("stack",),
        "no pod of the suites",
    ),
    "clock": (changed(clock=-42.0), "clock", "not judged", ("access log", "ztunnel log"), "offset -42.0 s"),
    "clock of a node": (
        lambda c: c.add(lease("worker-1", "2026-11-28T00:19:50.500000Z")),
        "clock",
        "not judged",
        ("access log", "ztunnel log"),
        "node worker-1 -19.2 s",
    ),
    "no clock": (changed(clock=None), "clock", "unknown", (), "Date"),
    "mixed": (
        lambda c: c.add(definition("grpcroutes", "v1.2.0", "standard")),
        "Gateway API",
        *NOTHING,
        "mixed: grpcroutes of v1.2.0",
    ),
    "no routes": (
        lambda c: c.remove("CustomResourceDefinition", "httproutes.gateway.networking.k8s.io"),
        "Gateway API",
        "not judged",
        ("ingress", "waypoint"),
        "no definition of httproutes",
    ),
    "restricted": (enforced("restricted"), "Pod Security", "not judged", ("load",), "baseline"),
    "baseline": (enforced("baseline"), "Pod Security", *NOTHING, "baseline"),
    "default deny": (
        policy(),
        "NetworkPolicies",
        "not judged",
        ("ingress", "waypoint"),
        "allows no ingress on port 15008",
    ),
    "no way out": (
        policy(policyTypes=["Egress"], egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}]),
        "NetworkPolicies",
        "not judged",
        ("ingress", "waypoint"),
        "allows no egress",
    ),
    "HBONE allowed": (
        policy(ingress=[{"ports": [{"port": 15000, "endPort": 15010}]}]),
        "NetworkPolicies",
        *NOTHING,
        "none is in the way",
    ),
    "policy of others": (
        lambda c: c.add(obj("NetworkPolicy", "deny", "others", NETWORK, spec={"podSelector": {}})),
        "NetworkPolicies",
        *NOTHING,
        "0 in default",
    ),
    "admission": (denying, "admission", *NOTHING, "ValidatingAdmissionPolicy no, ValidatingWebhookConfiguration guard"),
    "not asked for": (
        changed(lacking={"disruptive": "not ours"}),
        "capability disruptive",
        "not judged",
        ("disruptive",),
        "DISRUPTIVE=1",
    ),
    "authorizer": (changed(rights_unread="403"), "rights", "unknown", (), "selfsubjectaccessreviews"),
}


def test_all_can_be_judged() -> None:
    """On a cluster where nothing is in the way every row says so, and no capability is lacking."""
    found = catalogue.rows(Cluster().facts)

    assert [row for row in found if row.verdict != "judged"] == []
    assert catalogue.lacking(found) == {}
    assert len(found) >= len(catalogue.RULES) - 1  # of capabilities there is nothing to say


@pytest.mark.parametrize("case", CASES)
def test_each_circumstance_has_its_row(case: str) -> None:
    """The row of the subject, and no other, changes; the reason for a skip names subject and remedy."""
    plant, subject, verdict, lacks, says = CASES[case]
    cluster = Cluster()
    plant(cluster)

    found = catalogue.rows(cluster.facts)
    (row,) = [row for row in found if row.subject == subject and row.verdict == verdict][:1]
    assert row.verdict == verdict
    assert set(row.lacks) == set(lacks)
    assert says in f"{row.found} {row.reason} {row.remedy}"
    lacking = catalogue.lacking(found)
    assert set(lacks) <= set(lacking)
    assert all(lacking[name].startswith(subject) for name in lacks)  # type: ignore[index]  # names of capabilities
    assert row.remedy or verdict == "judged" or subject == "clock"


def test_the_stack_is_where_its_workloads_are() -> None:
    """By label; of two the one under its chart's own name, and where there is none that name. The root namespace is
    that of the mesh configuration, else istiod's."""
    beside, elsewhere, absent = Cluster(), Cluster(), Cluster()
    second_revision(beside)
    revisioned(elsewhere)
    moved("DaemonSet", "ztunnel", "kube-system")(elsewhere)
    absent.remove("Deployment", "envoy-ratelimit")
    root = Cluster()
    changed(mesh={"istio-system/istio": {"rootNamespace": "root"}})(root)

    assert beside.facts.places == absent.facts.places == DEFAULT_PLACES
    assert elsewhere.facts.places == StackPlaces(
        istiod="mesh/istiod-canary", ztunnel="kube-system/ztunnel", root_namespace="mesh"
    )
    assert root.facts.places == StackPlaces(root_namespace="root")


def test_clock_of_a_node_counts_beyond_what_is_uncertain() -> None:
    """Leases say it to some seconds. A node that is behind moves the start of what is looked for in its log; where one
    has the same clock, one that is ahead does not."""

    def ahead(*renewed: str) -> float:
        cluster = Cluster()
        cluster.add(*(lease(f"worker-{n}", time) for n, time in enumerate(renewed)))
        return cluster.facts.nodes_ahead

    same, behind, before = "2026-11-28T00:20:10.400000Z", "2026-11-28T00:20:05.400000Z", "2026-11-28T00:20:16.400000Z"
    assert ahead() == ahead(same) == ahead(same, before) == 0
    assert -7 < ahead(behind) < -5
    assert ahead(same, behind) == ahead(behind)
    assert 4 < ahead(before) < 6


def test_clock_of_a_node_needs_the_api_servers() -> None:
    """And a Lease whose time can be read."""
    cluster = Cluster()
    cluster.add(lease("worker-1", "2026-11-28T00:20:05.400000Z"), lease("worker-2", "never"))

    assert set(cluster.facts.node_clocks) == {"worker-1"}
    cluster.changes["clock"] = None
    assert cluster.facts.node_clocks == {}


@pytest.mark.parametrize("kind", ["Node", "Deployment", "DaemonSet", "NetworkPolicy", "EnvoyProxy", "Namespace"])
def test_what_could_not_be_read_is_unknown(kind: str) -> None:
    """It is neither fine nor a reason to skip."""
    cluster = Cluster()
    cluster.unread[kind] = "forbidden"

    found = catalogue.rows(cluster.facts)
    lost = [row for row in found if row.verdict == "unknown"]
    assert lost
    assert all(kind in row.reason for row in lost)
    assert catalogue.lacking(found) == {}


def test_rights_that_are_denied_are_named() -> None:
    """Each with what it is for; those that only some tests need have these skipped."""
    ztunnel = next(one for one in RIGHTS if (one.scope, one.resources) == ("mesh", ("pods/log",)))
    found = catalogue.rows(_with(Cluster(), denied=(ztunnel,)).facts)

    (row,) = [row for row in found if row.subject == "rights"]
    assert (row.found, row.lacks) == ("get pods/log (mesh)", ("ztunnel log",))
    assert "ztunnel's connections" in row.reason


def test_installing_makes_what_is_absent() -> None:
    """With INSTALL=1 the absence of the stack is no reason to skip."""
    cluster = Cluster()
    gone = ("istiod", "envoy-gateway", "ztunnel", "istio-cni-node", "envoy-ratelimit", "eg-ingress", "eg-waypoint")
    kinds = ("Deployment", "DaemonSet", "GatewayClass")
    cluster.objects = [one for one in cluster.objects if not (one["kind"] in kinds and one["metadata"]["name"] in gone)]
    absent = catalogue.lacking(catalogue.rows(cluster.facts))

    assert "stack" in absent
    assert catalogue.lacking(catalogue.rows(_with(cluster, installs=True).facts)) == {}


def test_every_capability_of_a_right_or_row_exists() -> None:
    """A name that no cluster can lack would never skip."""
    named = {capability for right in RIGHTS for capability in right.lacks}
    named |= {name for _, _, _, lacks, _ in CASES.values() for name in lacks}  # type: ignore[misc]  # names as text

    assert named <= set(CAPABILITIES)


def _with(cluster: Cluster, **changes: Any) -> Cluster:
    cluster.changes |= changes
    return cluster
