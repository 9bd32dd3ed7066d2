"""The rights at the Kubernetes API that a run needs, for `mesh-e2e rbac` and preflight. Pure.

Server-side apply of an object that does not exist needs `create` beside `patch`. A program that runs in a pod, and a
port-forward, need `get` or `create` of their subresource, by the version of Kubernetes and of the client.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.audit.waypoint_bindings import ENVOY_GATEWAY
from harness.cluster.protocol import Capability
from harness.kube.read_only_client import Kind
from harness.kube.request_log import ApiRequest
from harness.objects.crds_and_admission_policies import DEFINITIONS
from harness.objects.kind_namespace_name import KINDS, UNREAD
from harness.objects.references import GATEWAY_API

# ours: the namespaces of the suites, made by runs; mesh: those of istiod, ztunnel and CNI; control: Envoy Gateway's;
# store: the rate limit service's Redis; cluster: objects of no namespace, and lists of all namespaces.
Scope = Literal["cluster", "ours", "mesh", "control", "store"]
Part = Literal["run", "features", "preflight", "evidence", "disruptive", "install", "helm"]

_ADMISSION = "admissionregistration.k8s.io"
READ = {  # kinds that preflight lists
    "Node": Kind("", "nodes"),
    "Lease": Kind("coordination.k8s.io", "leases"),
    "Namespace": Kind("", "namespaces", True),
    "Deployment": Kind("apps", "deployments"),
    "DaemonSet": Kind("apps", "daemonsets"),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io", "customresourcedefinitions", True),
    "GatewayClass": Kind(GATEWAY_API, "gatewayclasses"),
    "EnvoyProxy": Kind(ENVOY_GATEWAY, "envoyproxies"),
    "NetworkPolicy": Kind("networking.k8s.io", "networkpolicies"),
    "ValidatingAdmissionPolicy": Kind(_ADMISSION, "validatingadmissionpolicies"),
    "ValidatingAdmissionPolicyBinding": Kind(_ADMISSION, "validatingadmissionpolicybindings"),
    "ValidatingWebhookConfiguration": Kind(_ADMISSION, "validatingwebhookconfigurations"),
    "MutatingWebhookConfiguration": Kind(_ADMISSION, "mutatingwebhookconfigurations"),
}
NAME = "mesh-e2e"
APPLY = ("get", "create", "patch", "delete")
STREAM = ("get", "create")
SECURITY = "security.istio.io"


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on resources of a group, in a scope, for a part of a run. Without one that is `needed` nothing can be
    judged; without another, what needs the capabilities that it `lacks`."""

    scope: Scope
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    part: Part = "run"
    needed: bool = False
    lacks: tuple[Capability, ...] = ()

    def __str__(self) -> str:
        of = f".{self.group}" if self.group else ""
        return f"{', '.join(self.verbs)} {', '.join(f'{one}{of}' for one in self.resources)} ({self.scope})"

    def allows(self, request: ApiRequest, namespaces: Mapping[Scope, Collection[str]]) -> bool:
        """Whether a request is one of these."""
        if self.group not in ("*", request.group) or not {"*", request.resource}.intersection(self.resources):
            return False
        here = self.scope == "cluster" or request.namespace in namespaces[self.scope]
        return here and bool({"*", request.verb}.intersection(self.verbs))


def _evidence() -> Iterable[Right]:
    """What is gathered when something fails: every kind that a manifest has."""
    by_group: dict[tuple[bool, str], list[str]] = defaultdict(list)
    for kind, (api_version, namespaced) in KINDS.items():
        if kind not in (*DEFINITIONS, *UNREAD):
            group = api_version.rpartition("/")[0]
            by_group[namespaced, group].append(plural(kind))
    for (namespaced, group), resources in by_group.items():
        scopes: tuple[Scope, ...] = ("ours", "mesh", "control", "store") if namespaced else ("cluster",)
        for scope in scopes:
            yield Right(
                scope, group, tuple(resources), ("list",), "diagnostics of a failure, and its causes", "evidence"
            )


def _preflight() -> Iterable[Right]:
    """What preflight reads, and nothing else does."""
    by_group: dict[str, list[str]] = defaultdict(list)
    for kind in READ.values():
        by_group[kind.group].append(kind.plural)
    for group, resources in by_group.items():
        yield Right("cluster", group, tuple(resources), ("list",), "what can be judged on this cluster", "preflight")
    for scope in ("mesh", "control"):
        yield Right(scope, "", ("configmaps",), ("get",), "trust domain, Envoy Gateway's mode", "preflight")


def plural(kind: str) -> str:
    """A kind's resource: "gatewayclasses" of GatewayClass."""
    name = kind.lower()
    vowel = name[-2] in "aeiou"
    return f"{name[:-1]}ies" if name[-1] == "y" and not vowel else f"{name}es" if name[-1] == "s" else f"{name}s"


RIGHTS: tuple[Right, ...] = (
    # -- the whole cluster, read only
    Right("cluster", "", ("nodes",), ("list",), "addresses of NodePorts, and whether nodes are ready", needed=True),
    Right("cluster", "", ("pods",), ("list",), "who owns an address, and what restarted", needed=True),
    Right("cluster", "apiextensions.k8s.io", ("customresourcedefinitions",), ("get", "list"), "the Gateway API"),
    # -- the namespaces of the suites, and the classes of their Gateways
    Right("cluster", "", ("namespaces",), APPLY, "the namespaces of the suites", needed=True),
    Right("cluster", GATEWAY_API, ("gatewayclasses",), APPLY, "the classes of the suites' Gateways", needed=True),
    Right("ours", ENVOY_GATEWAY, ("envoyproxies",), APPLY, "parameters of these classes", needed=True),
    Right(
        "ours", "", ("pods",), ("get", "list", "delete"), "pods of the application, and a restart of one", needed=True
    ),
    Right("ours", "", ("pods/log",), ("get",), "access logs of the proxies", needed=True, lacks=("access log",)),
    Right("ours", "", ("pods/exec",), STREAM, "requests from inside the mesh", needed=True),
    Right("ours", "", ("pods/portforward",), STREAM, "counters and configuration of the proxies", needed=True),
    Right("ours", "", ("services", "serviceaccounts"), APPLY, "Services of the suites and their labels", needed=True),
    Right("ours", "apps", ("deployments",), APPLY, "applications of the suites", needed=True),
    Right("ours", GATEWAY_API, ("gateways", "httproutes"), APPLY, "the suites' Gateways and routes", needed=True),
    Right(
        "ours",
        ENVOY_GATEWAY,
        ("backendtrafficpolicies", "clienttrafficpolicies"),
        APPLY,
        "rate limits, circuit breakers and headers",
        needed=True,
    ),
    Right("ours", SECURITY, ("authorizationpolicies",), APPLY, "the policy that closes a bypass"),
    Right("ours", SECURITY, ("peerauthentications",), APPLY, "STRICT mTLS for a namespace", lacks=("mtls",)),
    Right(
        "ours", SECURITY, ("requestauthentications",), APPLY, "policies of Istio that a waypoint ignores", "features"
    ),
    Right(
        "ours", "telemetry.istio.io", ("telemetries",), APPLY, "policies of Istio that a waypoint ignores", "features"
    ),
    Right("ours", "networking.istio.io", ("serviceentries",), APPLY, "a host outside the mesh", "features"),
    Right("ours", "", ("secrets",), APPLY, "keys and passwords of the suites' own clients", "features"),
    Right("ours", "", ("configmaps",), APPLY, "the authority of the suites' own certificates", "features"),
    Right("cluster", "", ("nodes/proxy",), ("get",), "processor and memory of components, by the kubelets", "features"),
    Right(
        "ours",
        GATEWAY_API,
        ("tcproutes", "udproutes", "grpcroutes", "tlsroutes", "backendtlspolicies"),
        APPLY,
        "routes of features",
        "features",
    ),
    Right("ours", GATEWAY_API, ("referencegrants",), APPLY, "references between namespaces", "features"),
    Right(
        "ours",
        ENVOY_GATEWAY,
        (
            "securitypolicies",
            "envoyextensionpolicies",
            "envoypatchpolicies",
            "httproutefilters",
            "backends",
            "envoyproxies",
        ),
        APPLY,
        "policies of features",
        "features",
    ),
    # -- the stack, read only
    Right(
        "mesh",
        "apps",
        ("deployments", "daemonsets"),
        ("get",),
        "whether the mesh is ready, and its version",
        needed=True,
    ),
    Right("mesh", "", ("pods",), ("get", "list"), "ztunnel and istiod; kubectl gets a pod to forward to", needed=True),
    Right("mesh", "", ("pods/log",), ("get",), "ztunnel's connections", lacks=("ztunnel log",)),
    Right(
        "mesh",
        "",
        ("pods/portforward",),
        STREAM,
        "ztunnel's view of the mesh, istiod's counters",
        lacks=("ztunnel log",),
    ),
    Right("mesh", SECURITY, ("authorizationpolicies", "peerauthentications"), ("list",), "policies of the whole mesh"),
    Right(
        "control", "apps", ("deployments",), ("get",), "whether Envoy Gateway is ready, and its version", needed=True
    ),
    Right("control", "", ("pods",), ("get", "list"), "the rate limit service", lacks=("rate limit",)),
    Right("control", "", ("pods/log",), ("get",), "why the rate limit service does not answer; rejected updates"),
    Right(
        "control", "", ("pods/portforward",), STREAM, "counters of the rate limit service", lacks=("limiter counters",)
    ),
    Right("store", "apps", ("deployments",), ("get",), "which Redis runs"),
    Right("store", "", ("pods",), ("list",), "whether Redis is there when the rate limit service does not answer"),
    *_preflight(),
    *_evidence(),
    Right("store", "", ("pods/log",), ("get",), "diagnostics of a failure", "evidence"),
    # -- what is not the run's own
    Right("ours", "policy", ("poddisruptionbudgets",), APPLY, "nodes are drained", "disruptive"),
    Right("mesh", "", ("pods",), ("get", "delete"), "ztunnel and istiod are killed", "disruptive"),
    Right("mesh", "apps", ("deployments", "daemonsets"), ("patch",), "ztunnel and istiod are restarted", "disruptive"),
    Right("control", "", ("pods",), ("get", "delete"), "the rate limit service is killed", "disruptive"),
    Right("control", "apps", ("deployments",), ("patch",), "Envoy Gateway is scaled to 0 and back", "disruptive"),
    Right("store", "", ("pods",), ("get", "delete"), "Redis is killed", "disruptive"),
    # -- what INSTALL=1 applies itself, and what the charts make
    Right("cluster", "apiextensions.k8s.io", ("customresourcedefinitions",), APPLY, "the Gateway API", "install"),
    Right("store", "", ("services",), APPLY, "Redis", "install"),
    Right("store", "apps", ("deployments",), APPLY, "Redis", "install"),
    Right("cluster", "*", ("*",), ("*",), "Helm installs controllers, their roles, webhooks and definitions", "helm"),
)


def of_parts(*parts: Part) -> tuple[Right, ...]:
    """The rights of these parts of a run."""
    return tuple(one for one in RIGHTS if one.part in parts)


def parts_of(*, installs: bool, disruptive: bool) -> tuple[Part, ...]:
    """The parts of a run with these settings."""
    found: tuple[Part, ...] = ("run", "features", "preflight", "evidence")
    found += ("disruptive",) if disruptive else ()
    return found + (("install", "helm") if installs else ())


def reviews(rights: Iterable[Right], namespaces: Mapping[Scope, Sequence[str]]) -> list[tuple[Right, ApiRequest]]:
    """The requests to ask an authorizer about, with the right that each is of."""
    found: dict[ApiRequest, Right] = {}
    for right in rights:
        for namespace in ("",) if right.scope == "cluster" else namespaces[right.scope]:
            for resource in right.resources:
                for verb in right.verbs:
                    found.setdefault(ApiRequest(verb, right.group, resource, namespace), right)
    return [(right, request) for request, right in found.items()]


def roles(rights: Iterable[Right], namespaces: Mapping[Scope, Sequence[str]]) -> list[dict[str, Any]]:
    """A ClusterRole, and a Role in each namespace, that grant these rights and nothing else."""
    by_place: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for right in rights:
        for namespace in ("",) if right.scope == "cluster" else namespaces[right.scope]:
            for resource in right.resources:
                by_place[namespace][right.group, resource] |= set(right.verbs)
    return [_role(namespace, granted) for namespace, granted in by_place.items()]


def unused(
    rights: Iterable[Right], requests: Collection[ApiRequest], namespaces: Mapping[Scope, Collection[str]]
) -> list[str]:
    """Verbs of rights that no request used, as "verb resource (scope)". `create` is used by the `patch` of an apply."""
    found = []
    for right in rights:
        for resource in right.resources:
            one = Right(right.scope, right.group, (resource,), right.verbs, right.why)
            used = {request.verb for request in requests if one.allows(request, namespaces)}
            used |= {"create"} if used & {"patch", "get"} else set()
            found += [f"{verb} {resource} ({right.scope})" for verb in right.verbs if verb not in used]
    return found


def not_allowed(
    rights: Collection[Right], requests: Iterable[ApiRequest], namespaces: Mapping[Scope, Collection[str]]
) -> list[ApiRequest]:
    """Requests that none of these rights allows."""
    return [one for one in requests if not any(right.allows(one, namespaces) for right in rights)]


def is_done_without(request: ApiRequest, namespaces: Mapping[Scope, Collection[str]]) -> bool:
    """Whether a run goes on without this right: access reviews, which every user may make (system:basic-user), and
    the logs of other people's proxies, whose signs of trouble are listed apart and judge nothing."""
    here = any(request.namespace in those for those in namespaces.values())
    return request.resource == "selfsubjectaccessreviews" or (request.resource == "pods/log" and not here)


def _role(namespace: str, granted: Mapping[tuple[str, str], Collection[str]]) -> dict[str, Any]:
    by_verbs: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), verbs in granted.items():
        by_verbs[group, tuple(sorted(verbs))].append(resource)
    rules = [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": list(verbs)}
        for (group, verbs), resources in sorted(by_verbs.items())
    ]
    metadata = {"name": NAME, **({"namespace": namespace} if namespace else {})}
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}
