"""Each condition is planted into a healthy cluster, and found by its id; without it, nothing but what is there."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.audit.catalogue import CHECKS, TITLES, run_audit_checks
from tests import recordings
from tests.audit.planted import API, EG, ISTIO, Plant, Planted, definition, obj, pod

PAGES = Path(__file__).resolve().parents[2] / "docs" / "audit"
# What is really so in the recorded cluster: no load balancer gave an address; `ratings.default.svc` is no hostname.
THERE = {
    ("status-not-true", "Gateway default/bookinfo-ingress"),
    ("hostname-missing", "HTTPRoute default/ratings"),
}
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def policy(kind: str, target: dict[str, str], api: str = ISTIO, **spec: Any) -> Plant:
    return lambda c: c.add(obj(kind, "planted", "default", api, spec={"targetRefs": [target], **spec}))


def label(kind: str, name: str, **labels: str) -> Plant:
    def plant(c: Planted) -> None:
        c.get(kind, name)["metadata"].setdefault("labels", {}).update(
            {f"istio.io/{key.replace('_', '-')}": value for key, value in labels.items()}
        )

    return plant


def listener(port: int, protocol: str, name: str = "planted") -> Plant:
    one = {"name": name, "port": port, "protocol": protocol}
    return lambda c: c.get("Gateway", "waypoint")["spec"]["listeners"].append(one)


def mesh_route(c: Planted) -> None:
    spec = {"parentRefs": [{"group": "", "kind": "Service", "name": "ratings", "port": 9080}], "rules": []}
    c.add(obj("HTTPRoute", "planted", "default", API, spec=spec))


def no_address(c: Planted) -> None:
    c.get("Gateway", "waypoint")["status"]["addresses"] = []


def not_bound(c: Planted) -> None:
    values = {
        "type": "istio.io/WaypointBound",
        "status": "False",
        "reason": "WaypointIsNotReady",
        "message": "not ready",
    }
    c.get("Service", "ratings")["status"]["conditions"] = [values]


def ingress_use(c: Planted) -> None:
    label("Service", "productpage", use_waypoint="waypoint", ingress_use_waypoint="true")(c)
    c.get("HTTPRoute", "ratings")["spec"]["hostnames"] += ["productpage", "*.default.svc.cluster.local"]


def low_port(c: Planted) -> None:
    c.get("Service", "ratings")["spec"]["ports"][0]["port"] = 80
    listener(80, "HTTP")(c)
    c.get("HTTPRoute", "ratings")["spec"]["rules"][0]["backendRefs"][0]["port"] = 80


def other_port(c: Planted) -> None:
    c.get("Service", "ratings")["spec"]["ports"].append({"name": "more", "port": 9090, "protocol": "TCP"})


def no_hbone_port(c: Planted) -> None:
    ports = c.get("Service", "waypoint")["spec"]["ports"]
    ports[:] = [one for one in ports if one["port"] != 15008]


def few_names(c: Planted) -> None:
    c.get("HTTPRoute", "ratings")["spec"]["hostnames"] = ["ratings.default.svc", "ratings"]


def parent_ref(**ref: Any) -> Plant:
    return lambda c: c.get("HTTPRoute", "ratings")["spec"]["parentRefs"][0].update(ref)


def backend_ref(**ref: Any) -> Plant:
    return lambda c: c.get("HTTPRoute", "ratings")["spec"]["rules"][0]["backendRefs"][0].update(ref)


def condition(kind: str, name: str, shape: str, type: str, **fields: Any) -> Plant:
    def plant(c: Planted) -> None:
        for one in c.get(kind, name)["status"][shape][0]["conditions"]:
            if one["type"] == type:
                one.update(fields)

    return plant


def overridden(c: Planted) -> None:
    values = {"type": "Overridden", "status": "True", "reason": "Overridden", "message": "by another"}
    c.get("BackendTrafficPolicy", "circuit-breaker-btp")["status"]["ancestors"][0]["conditions"].append(values)


def no_status(c: Planted) -> None:
    c.get("BackendTrafficPolicy", "circuit-breaker-btp")["status"] = {}


def routing_type(c: Planted) -> None:
    c.get("BackendTrafficPolicy", "circuit-breaker-btp")["spec"]["routingType"] = "Service"


def taken_account(c: Planted) -> None:
    c.add(obj("Gateway", "bookinfo-ratings", "default", API, spec={"gatewayClassName": "eg-waypoint"}))


def outside(c: Planted) -> None:
    labels = {f"gateway.envoyproxy.io/owning-gateway-{k}": v for k, v in GATEWAY_OF_INGRESS.items()}
    c.add(pod("ingress-1", "default", mesh=False, **labels))
    c.add(obj("PeerAuthentication", "strict", "istio-system", ISTIO, spec={"mtls": {"mode": "STRICT"}}))


def other_root(c: Planted) -> None:
    """By its configuration, istiod's namespace is not the mesh's root namespace."""
    outside(c)
    c.state = replace(c.state, mesh={"istio-system/istio": {"rootNamespace": "root"}})


def strict_root(c: Planted) -> None:
    other_root(c)
    c.get("PeerAuthentication", "strict")["metadata"]["namespace"] = "root"


GATEWAY_OF_INGRESS = {"name": "bookinfo-ingress", "namespace": "default"}


def redis_down(c: Planted) -> None:
    c.get("Pod", "redis-1")["status"]["conditions"] = []


def controller_mode(c: Planted) -> None:
    c.state = replace(c.state, config={"provider": {"kubernetes": {}}})


def later(c: Planted) -> None:
    c.state = replace(c.state, now=datetime(2026, 8, 6, tzinfo=UTC))


def old_kubernetes(c: Planted) -> None:
    c.state = replace(c.state, kubernetes="v1.31.0")


def clash(c: Planted) -> None:
    c.get("Pod", "ztunnel-1")["status"]["conditions"] = []
    line = (
        '2026-07-01T11:00:00.000000Z\twarn\tinpod::statemanager\tretrying workload failed uid="uid-ratings-1" '
        "error=failed to bind to address [::]:15008: Address already in use (os error 98)"
    )
    c.state = replace(c.state, logs={"istio-system/ztunnel-1": line})


def connection(
    client: str = "", identity: str = "", port: int = 9080, at: str = "11:59:00", end: str = "complete"
) -> Plant:
    """ztunnel's line of a connection to ratings' pod, a minute after the binding, from a client by its name."""
    source = f' src.workload="{client}" src.namespace="team"' if client else ""
    proven = f' src.identity="spiffe://cluster.local/ns/{identity}"' if identity else ""
    tunnel = (
        f"dst.addr=10.244.1.9:15008 dst.hbone_addr=10.244.1.9:{port}" if identity else f"dst.addr=10.244.1.9:{port}"
    )
    outcome = ' error="policy rejection"' if end == "failed" else ' duration="9ms"'
    line = (
        f"2026-07-01T{at}.000000Z\tinfo\taccess\tconnection {end}\tsrc.addr=10.244.2.9:40000{source}{proven} {tunnel} "
        f'dst.workload="ratings-1" dst.namespace="default" direction="inbound" bytes_sent=1 bytes_recv=1{outcome}'
    )

    def plant(c: Planted) -> None:
        bound = {"type": "istio.io/WaypointBound", "status": "True", "lastTransitionTime": "2026-07-01T11:58:00Z"}
        c.get("Service", "ratings").setdefault("status", {})["conditions"] = [bound]
        c.state = replace(c.state, logs={**(c.state.logs or {}), "istio-system/ztunnel-1": line})

    return plant


def other_service(c: Planted) -> None:
    """The pods may be called by another Service, which has no waypoint."""
    connection("client-1")(c)
    c.add(obj("Service", "beside", "default", spec={"clusterIP": "10.96.0.8", "selector": {"app": "ratings"}}))


def rejected(c: Planted) -> None:
    waypoint = next(p for p in c.objects if p["kind"] == "Pod" and p["metadata"]["name"].startswith("waypoint-"))
    log = (
        "[2026-07-01 11:00:00.000][1][warning][config] [source/x.cc:138] gRPC config for "
        "type.googleapis.com/envoy.config.listener.v3.Listener rejected: Error adding/updating listener(s) "
        "default/waypoint/fake-hbone-port: cannot bind '0.0.0.0:15008': Address already in use"
    )
    c.state = replace(c.state, logs={f"default/{waypoint['metadata']['name']}": log})


def second_replica(change: Callable[[Any], Any]) -> Plant:
    """A second replica of the waypoint, whose active configuration is the recorded one, changed."""

    def plant(c: Planted) -> None:
        labels = {f"gateway.envoyproxy.io/owning-gateway-{k}": v for k, v in WAYPOINT.items()}
        c.add(pod("waypoint-2", "default", **labels))
        dump = change(recordings.dump("admin/waypoint-config_dump.json"))
        c.state = replace(c.state, configs={**(c.state.configs or {}), "default/waypoint-2": dump})

    return plant


BREAKER = "circuit-breaker-btp"
WAYPOINT = {"name": "waypoint", "namespace": "default"}


def without(word: str) -> Callable[[Any], Any]:
    """Every value of that key is empty."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: type(v)() if k == word else change(v) for k, v in value.items()}
        return [change(one) for one in value] if isinstance(value, list) else value

    return change


NO_ROUTES, NO_POLICIES = second_replica(without("dynamic_route_configs")), second_replica(without("policies"))


def young(kind: str, name: str, planted: Plant) -> Plant:
    """The same, and the object was made half a minute ago."""

    def plant(c: Planted) -> None:
        planted(c)
        c.get(kind, name)["metadata"]["creationTimestamp"] = "2026-07-01T11:59:30Z"

    return plant


def warming(at: str) -> Callable[[Any], Any]:
    def change(dump: Any) -> Any:
        section = next(one for one in dump["configs"] if one["@type"].endswith(".ClustersConfigDump"))
        section["dynamic_warming_clusters"] = [{"last_updated": at, "cluster": {"name": "c"}}]
        return dump

    return change


def refusing(dump: Any) -> Any:
    section = next(one for one in dump["configs"] if one["@type"].endswith(".ListenersConfigDump"))
    section["dynamic_listeners"].append({"name": "x", "error_state": {"details": "cannot bind"}})
    return dump


def http_rules(c: Planted) -> None:
    """As istiod 1.29.1 says it of a policy on pods with a rule about methods."""
    values = {
        "type": "ZtunnelAccepted",
        "status": "True",
        "reason": "UnsupportedValue",
        "message": "ztunnel does not support HTTP attributes (found: methods). In ambient mode you must use a waypoint "
        "proxy to enforce HTTP rules. DENY policy with HTTP attributes is enforced without the HTTP rules. This will "
        "be more restrictive than requested.",
    }
    spec = {"action": "DENY", "selector": {"matchLabels": {"app": "ratings"}}, "rules": []}
    c.add(obj("AuthorizationPolicy", "planted", "default", ISTIO, spec=spec, status={"conditions": [values]}))


SERVICE = {"group": "", "kind": "Service", "name": "ratings"}
PLANTED: list[tuple[str, Plant]] = [
    ("istio-policy-not-enforced", policy("AuthorizationPolicy", SERVICE, action="DENY")),
    ("istio-policy-not-enforced", policy("AuthorizationPolicy", GATEWAY | {"name": "waypoint"})),
    ("istio-policy-not-enforced", policy("RequestAuthentication", SERVICE)),
    ("istio-policy-not-enforced", policy("Telemetry", SERVICE)),
    ("istio-policy-not-enforced", policy("WasmPlugin", GATEWAY | {"kind": "GatewayClass", "name": "eg-waypoint"})),
    ("mesh-route-not-enforced", mesh_route),
    ("waypoint-missing", label("Service", "details", use_waypoint="nosuch")),
    ("waypoint-missing", label("Namespace", "default", use_waypoint="nosuch")),
    ("waypoint-not-ready", no_address),
    ("waypoint-not-bound", not_bound),
    ("ingress-bypasses-waypoint", ingress_use),
    ("waypoint-bypassed", connection("client-1")),
    ("waypoint-bypassed", connection("client-1", "team/sa/client")),
    ("waypoint-bypassed", connection()),
    ("port-15008-clash", clash),
    ("ztunnel-not-ready", lambda c: c.get("Pod", "ztunnel-1")["status"].update(conditions=[])),
    ("port-15008-listener", listener(15008, "TCP")),
    ("envoy-rejects-configuration", rejected),
    ("envoy-rejects-configuration", second_replica(refusing)),
    ("route-not-active", NO_ROUTES),
    ("policy-not-active", NO_POLICIES),
    ("cluster-warming", second_replica(warming("2026-07-01T11:58:00Z"))),
    ("istio-policy-partly-enforced", http_rules),
    ("waypoint-port-shifted", low_port),
    ("waypoint-without-listener", other_port),
    ("waypoint-without-hbone-port", no_hbone_port),
    ("hostname-missing", few_names),
    ("service-without-route", label("Service", "details", use_waypoint="waypoint")),
    ("service-without-route", label("Namespace", "default", use_waypoint="waypoint")),
    ("eg-service-bound", label("Namespace", "default", use_waypoint="waypoint")),
    ("parent-missing", parent_ref(name="nosuch")),
    ("parent-missing", parent_ref(sectionName="nosuch")),
    ("backend-missing", backend_ref(name="nosuch")),
    ("backend-missing", backend_ref(port=1)),
    ("target-missing", policy("SecurityPolicy", {"kind": "HTTPRoute", "name": "nosuch"}, EG)),
    ("without-status", no_status),
    ("without-status", lambda c: c.get("HTTPRoute", "ratings")["status"].update(parents=[])),
    ("status-not-true", condition("HTTPRoute", "ratings", "parents", "ResolvedRefs", status="False")),
    ("status-overridden", overridden),
    ("status-of-older-generation", condition("HTTPRoute", "ratings", "parents", "Accepted", observedGeneration=1)),
    ("field-ignored", routing_type),
    ("gateway-name-taken", taken_account),
    ("ingress-outside-mesh", outside),
    ("ingress-outside-mesh", strict_root),
    ("rate-limit-fails-open", redis_down),
    ("rate-limit-fails-open", lambda c: c.remove("Deployment", "envoy-ratelimit")),
    ("controller-namespace-mode", controller_mode),
    ("version-unsupported", later),
    ("version-pair", old_kubernetes),
    ("gateway-api-mixed", lambda c: c.add(definition("tcproutes", "v1.5.1"))),
    ("gateway-api-old", lambda c: c.add(definition("tcproutes", "v1.3.0"))),
]


def test_a_healthy_cluster_has_nothing_but_what_is_there() -> None:
    """The recorded cluster: its two real conditions, and everything was judged."""
    findings, not_judged = run_audit_checks(Planted().built())

    assert {(one.id, one.objects[0]) for one in findings} == THERE
    assert not_judged == []


@pytest.mark.parametrize(("id", "plant"), PLANTED, ids=[f"{id}-{n}" for n, (id, _) in enumerate(PLANTED)])
def test_a_planted_condition_is_found(id: str, plant: Plant) -> None:
    """By its id; what was there without it is not what is found."""
    before = {one.fingerprint + one.sentence for one in Planted().found()}
    cluster = Planted()
    plant(cluster)

    new = [one for one in cluster.found() if one.fingerprint + one.sentence not in before]
    assert id in {one.id for one in new}


def test_each_id_is_planted_and_has_its_page() -> None:
    """A check that no planted condition meets, or that has no page, is no check; a page without a check is none."""
    ids = {id for check in CHECKS for id in check.ids}

    assert ids == {id for id, _ in PLANTED} == TITLES.keys()
    assert {page.stem for page in PAGES.glob("*.md")} - {"README"} == ids


def healed_routing(c: Planted) -> None:
    ingress_use(c)
    spec = c.get("GatewayClass", "eg-ingress")["spec"]
    spec["parametersRef"] = {
        "group": "gateway.envoyproxy.io",
        "kind": "EnvoyProxy",
        "name": "i",
        "namespace": "default",
    }
    c.add(obj("EnvoyProxy", "i", "default", EG, spec={"routingType": "Service"}))


def newer_routing_type(c: Planted) -> None:
    """Envoy Gateway 1.8 enforces it."""
    routing_type(c)
    container = c.get("Deployment", "envoy-gateway")["spec"]["template"]["spec"]["containers"][0]
    container["image"] = container["image"].replace("1.7.5", "1.8.3")


def healed_port(c: Planted) -> None:
    low_port(c)
    c.get("EnvoyProxy", "waypoint")["spec"]["provider"]["kubernetes"]["useListenerPortAsContainerPort"] = True


def bound_port(c: Planted) -> None:
    low_port(c)
    c.get("Gateway", "waypoint")["metadata"]["annotations"] = {
        "ambient.istio.io/waypoint-inbound-binding": "NONE/10080"
    }


def permissive(c: Planted) -> None:
    outside(c)
    c.add(obj("PeerAuthentication", "open", "default", ISTIO, spec={"mtls": {"mode": "PERMISSIVE"}}))


def old_bind_failure(c: Planted) -> None:
    clash(c)
    c.get("Pod", "ztunnel-1")["status"]["conditions"] = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("id", "plant"),
    [
        ("ingress-bypasses-waypoint", healed_routing),
        ("field-ignored", newer_routing_type),
        ("waypoint-port-shifted", healed_port),
        ("waypoint-port-shifted", bound_port),
        ("ingress-outside-mesh", permissive),
        ("ingress-outside-mesh", other_root),
        ("port-15008-clash", old_bind_failure),
        ("cluster-warming", second_replica(warming("2026-07-01T11:59:50Z"))),
        pytest.param("route-not-active", second_replica(lambda dump: dump), id="route of a replica alike"),
        ("route-not-active", young("HTTPRoute", "ratings", second_replica(without("dynamic_route_configs")))),
        (
            "policy-not-active",
            young("BackendTrafficPolicy", "circuit-breaker-btp", second_replica(without("policies"))),
        ),
        pytest.param("policy-not-active", second_replica(lambda dump: dump), id="policy of a replica alike"),
        ("istio-policy-not-enforced", policy("AuthorizationPolicy", SERVICE | {"name": "details"})),
        pytest.param("waypoint-bypassed", connection("waypoint-0", "default/sa/waypoint"), id="by the waypoint"),
        pytest.param("waypoint-bypassed", connection("client-1", port=9090), id="another port"),
        pytest.param("waypoint-bypassed", connection("client-1", at="11:57:00"), id="before it was bound"),
        pytest.param("waypoint-bypassed", connection("client-1", end="failed"), id="refused"),
        pytest.param("waypoint-bypassed", other_service, id="by another Service"),
    ],
)
def test_a_mended_condition_is_not_found(id: str, plant: Plant) -> None:
    """The remedy that the page names ends the finding."""
    cluster = Planted()
    plant(cluster)

    assert id not in {one.id for one in cluster.found()}


@pytest.mark.parametrize("kind", ["Gateway", "Service", "Pod", "HTTPRoute", "GRPCRoute", "Deployment"])
def test_what_could_not_be_read_is_not_fine(kind: str) -> None:
    """A check over a kind that could not be read is not judged, and says so; it neither passes nor guesses."""
    state = Planted().built()
    objects = {name: those for name, those in state.objects.items() if name != kind}
    state = replace(state, objects=objects, unread={kind: "403"})

    findings, not_judged = run_audit_checks(state)
    unjudged = {one.id for one in not_judged}
    expected = {id for check in CHECKS for id in check.ids if kind in (*check.needs, *check.uses)}
    assert expected
    assert expected <= unjudged
    assert {one.id for one in findings} <= {id for id, _ in THERE}


def test_logs_that_nobody_asked_for_are_not_judged() -> None:
    """Without --logs and --config the checks that need them say so."""
    _, not_judged = run_audit_checks(Planted().built(logs=None, configs=None))

    why = "no log was read (ask for it with --logs)"
    of_logs, of_config = (
        {"waypoint-bypassed", "port-15008-clash", "envoy-rejects-configuration"},
        "no active configuration was read (ask for",
    )
    assert {one.id for one in not_judged if one.reason == why} == of_logs
    rest = [one for one in not_judged if one.id not in of_logs]
    assert {one.id for one in rest} == {"route-not-active", "policy-not-active", "cluster-warming"}
    assert all(one.reason.startswith(of_config) for one in rest)


def test_a_replica_whose_configuration_was_not_read_is_not_judged() -> None:
    """The others are; the one is named."""
    _, not_judged = run_audit_checks(Planted().built(unread_configs={"default/waypoint-2": "no way there"}))

    assert {one.id for one in not_judged} == {"route-not-active", "policy-not-active", "cluster-warming"}
    assert all("default/waypoint-2: no way there" in one.reason for one in not_judged)
