"""Preflight checks of the cluster: nodes, clocks, Gateway API CRDs, policies, and rights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from harness.audit.state import labels_of, namespace_of, object_name
from harness.audit.waypoint_bindings import HBONE
from harness.cluster.protocol import Capability
from harness.objects.crds_and_admission_policies import gateway_api_version
from harness.objects.references import GATEWAY_API
from harness.objects.unstructured import Json, at, mapping, maybe_number, name_of, objects, strings, text
from harness.preflight.checks.mesh import BY_INSTALL
from harness.preflight.facts import Facts
from harness.preflight.row import Row, judged, not_judged, unknown

CLOCK = 5.0  # seconds: log lines are compared with moments of this machine's clock
ENFORCE = "pod-security.kubernetes.io/enforce"
REMEDIES: dict[Capability, str] = {
    "disruptive": "DISRUPTIVE=1",
    "own mesh": "INSTALL=1",
    "upgrade": "INSTALL=1",
    "load balancer": "LB=1",
    "no load balancer": "leave LB=1 out",
}
NEEDED = ("gatewayclasses", "gateways", "httproutes")
# Whose webhooks come with the stack, or with Kubernetes' own distributions.
STACK_WEBHOOKS = ("istio", "envoy-gateway", "eg-")
# Groups of the objects that suites apply.
GROUPS = frozenset({"", "apps", GATEWAY_API, "gateway.envoyproxy.io", "*"})


def nodes(facts: Facts) -> Iterable[Row]:
    """Nodes that can run the suites' pods: Linux, ready, and without a taint that no pod here tolerates."""
    those = facts.state.all_objects("Node")
    usable = [one for one in those if not _hindrance(one)]
    hindered = [f"{text(one, 'metadata', 'name')} {why}" for one in those if (why := _hindrance(one))]
    systems = sorted({text(one, "status", "nodeInfo", "operatingSystem") or "?" for one in those})
    chips = sorted({text(one, "status", "nodeInfo", "architecture") or "?" for one in those})
    found = f"{len(usable)} of {len(those)} usable, {'/'.join(systems)} {'/'.join(chips)}"
    if not usable:
        yield not_judged(
            "nodes",
            found,
            "stack",
            reason=f"no pod of the suites can be scheduled: {'; '.join(hindered) or 'there is no node'}",
            remedy="add a Linux node without taints",
        )
    elif len(usable) == 1:
        yield not_judged(
            "nodes",
            found,
            "two nodes",
            reason="one usable node" + (f" ({'; '.join(hindered)})" if hindered else ""),
            remedy="add a second node without taints",
        )
    else:
        yield judged("nodes", found, "; ".join(hindered))


def clock(facts: Facts) -> Iterable[Row]:
    """The clocks of the API server and of the nodes against this machine's. Smaller differences are taken into account
    where times are compared."""
    nodes = {name: offset for name, offset in facts.node_clocks.items() if offset.is_measurable}
    if facts.clock is None:
        yield unknown("clock", "the API server's answers have no Date header")
        return
    message = "; ".join([f"offset {facts.clock:+.1f} s", *(f"node {name} {offset}" for name, offset in nodes.items())])
    if all(abs(one) <= CLOCK for one in (facts.clock, *(offset.middle for offset in nodes.values()))):
        yield judged("clock", message)
    else:
        yield not_judged(
            "clock",
            message,
            "access log",
            "ztunnel log",
            reason="log lines are looked up by the time at which a request was sent",
            remedy="synchronise the clocks of this machine and of the cluster",
        )


def definitions(facts: Facts) -> Iterable[Row]:
    """Bundle and channel of every definition of the Gateway API."""
    of_api = [
        one
        for one in facts.state.all_objects("CustomResourceDefinition")
        if object_name(one).endswith(f".{GATEWAY_API}")
    ]
    bundles: dict[str, list[str]] = defaultdict(list)
    for one in of_api:
        bundles[gateway_api_version(one) or "unknown bundle"].append(object_name(one).partition(".")[0])
    missing = [name for name in NEEDED if not any(object_name(one).startswith(f"{name}.") for one in of_api)]
    found = ", ".join(f"{bundle} ({len(names)})" for bundle, names in sorted(bundles.items())) or "none"
    if missing and facts.installs:
        yield judged("Gateway API", BY_INSTALL if not of_api else f"{found}; INSTALL=1 adds {', '.join(missing)}")
    elif missing:
        yield not_judged(
            "Gateway API",
            found,
            "ingress",
            "waypoint",
            reason=f"no definition of {', '.join(missing)}",
            remedy="install the Gateway API's definitions, or INSTALL=1",
        )
    elif len(bundles) > 1:
        few = min(bundles.items(), key=lambda item: len(item[1]))
        yield judged("Gateway API", found, f"mixed: {', '.join(few[1])} of {few[0]}")
    else:
        yield judged("Gateway API", found)


def pod_security(facts: Facts) -> Iterable[Row]:
    """The Pod Security level that the namespace of the suites enforces."""
    namespace = facts.state.find("Namespace", "", facts.namespace)
    level = text(labels_of(namespace or {}), ENFORCE)
    if namespace is None:
        yield judged("Pod Security", f"namespace {facts.namespace} does not exist yet")
    elif level == "restricted":
        yield not_judged(
            "Pod Security",
            f"{facts.namespace} enforces {level}",
            "load",
            reason="pods of the suites set no securityContext and are rejected",
            remedy=f"use a namespace that enforces baseline, or none (label {ENFORCE})",
        )
    else:
        yield judged("Pod Security", f"{facts.namespace} enforces {level or 'nothing'}")


def network_policies(facts: Facts) -> Iterable[Row]:
    """NetworkPolicies that keep HBONE (port 15008) from pods of the suites, or the suites' pods from sending it."""
    here = [one for one in facts.state.all_objects("NetworkPolicy") if namespace_of(one) == facts.namespace]
    blocking = [(one, why) for one in here if (why := _keeps_hbone_out(one))]
    if not blocking:
        yield judged("NetworkPolicies", f"{len(here)} in {facts.namespace}, none is in the way of port {HBONE}")
        return
    yield not_judged(
        "NetworkPolicies",
        f"{len(here)} in {facts.namespace}",
        "ingress",
        "waypoint",
        reason="; ".join(f"{name_of(one)} {why}" for one, why in blocking),
        remedy=f"allow TCP port {HBONE} there in both directions",
    )


def admission(facts: Facts) -> Iterable[Row]:
    """Admission that others configured and that may deny what the suites apply. Whether it does is not asked."""
    bindings = {
        text(one, "spec", "policyName")
        for one in facts.state.all_objects("ValidatingAdmissionPolicyBinding")
        if "Deny" in strings(one, "spec", "validationActions")
    }
    found = [
        name_of(policy)
        for policy in facts.state.all_objects("ValidatingAdmissionPolicy")
        if object_name(policy) in bindings
        and any(
            GROUPS.intersection(strings(rule, "apiGroups"))
            for rule in objects(policy, "spec", "matchConstraints", "resourceRules")
        )
    ]
    for one in facts.state.all_objects("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        if object_name(one).startswith(STACK_WEBHOOKS):
            continue
        if any(_concerns(hook) for hook in objects(one, "webhooks")):
            found.append(name_of(one))
    if found:
        yield judged(
            "admission",
            f"{len(found)} policies and webhooks of others",
            f"may deny what the suites apply: {', '.join(found)}",
        )
    else:
        yield judged("admission", "nothing of others")


def rights(facts: Facts) -> Iterable[Row]:
    """Rights that a run needs and these credentials lack, each with what it is for."""
    if facts.rights_unread:
        yield unknown("rights", facts.rights_unread, "create selfsubjectaccessreviews must be allowed")
        return
    if not facts.denied:
        yield judged("rights", "all that a run needs")
    for one in facts.denied:
        yield Row(
            "rights",
            str(one),
            "not judged",
            one.lacks,
            f"these credentials may not: {one.why}",
            "`mesh-e2e rbac` prints the Role and ClusterRole that a run needs",
        )


def capabilities(facts: Facts) -> Iterable[Row]:
    """What this kind of cluster lacks whatever is found in it, such as disruption that was not asked for."""
    for name, reason in facts.lacking.items():
        asked = REMEDIES.get(name, "CLUSTER=kind")
        yield not_judged(f"capability {name}", "absent", name, reason=reason, remedy=asked)


def _hindrance(node: Json) -> str:
    if text(node, "status", "nodeInfo", "operatingSystem") not in ("linux", ""):
        return f"runs {text(node, 'status', 'nodeInfo', 'operatingSystem')}"
    if at(node, "spec", "unschedulable") is True:
        return "is cordoned"
    for taint in objects(node, "spec", "taints"):
        if text(taint, "effect") in ("NoSchedule", "NoExecute"):
            return f"has taint {text(taint, 'key')}:{text(taint, 'effect')}"
    ready = [text(one, "status") for one in objects(node, "status", "conditions") if text(one, "type") == "Ready"]
    return "" if ready in ([], ["True"]) else "is not Ready"


def _keeps_hbone_out(policy: Json) -> str:
    """Why a policy keeps port 15008 from or to the pods that it selects; "" when it does not. What a rule allows by
    peers alone counts as allowed: whose pods those are is not looked up."""
    types = strings(policy, "spec", "policyTypes") or ("Ingress",)
    for direction in ("Ingress", "Egress"):
        if direction in types and not any(map(_allows, objects(policy, "spec", direction.lower()))):
            return f"allows no {direction.lower()} on port {HBONE}"
    return ""


def _allows(rule: Json) -> bool:
    ports = list(objects(rule, "ports"))
    return not ports or any(
        text(port, "protocol") in ("", "TCP")
        and (
            at(port, "port") is None
            or (first := maybe_number(port, "port")) == HBONE
            or (first is not None and first <= HBONE <= (maybe_number(port, "endPort") or first))
        )
        for port in ports
    )


def _concerns(hook: Json) -> bool:
    """Whether a webhook is asked about objects that suites apply, and failing it denies them."""
    excluded = mapping(hook, "namespaceSelector")
    return any(
        GROUPS.intersection(strings(rule, "apiGroups")) and set(strings(rule, "operations")) & {"CREATE", "UPDATE", "*"}
        for rule in objects(hook, "rules")
    ) and not (excluded and text(hook, "failurePolicy") == "Ignore")
