"""Translates objects to the configuration that Envoy Gateway sends to Envoy and the rate limit service. Pure.

Names, order and fields as in tests/recordings/admin/{bookinfo-ingress,waypoint}-config_dump.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness.cluster.emulated.network import backend_traffic_policies as btp
from harness.cluster.emulated.network import xds_templates as eg
from harness.cluster.emulated.network.model import Json, LimitRule, Proxy, ServiceEntry, Xds

_SHIFT = 10000  # added to a listener's port below 1024: Envoy runs without root


def xds(
    gateway: Json,
    proxy: Proxy,
    *,
    routes: Iterable[Json],
    services: Iterable[ServiceEntry],
    backend_policies: Iterable[Json] = (),
    client_policies: Iterable[Json] = (),
    envoy_proxy: Json | None = None,
) -> Xds:
    """All that Envoy Gateway sends to the Envoy of one Gateway.

    Give only routes and policies that are Accepted; those that do not target the Gateway are left out here. A route
    whose backend Service is not in `services` answers 500, one whose Service has no endpoint 503.
    """
    policies = list(backend_policies)
    client = next((p for p in client_policies if btp.targets(p, gateway)), None)
    known = {(s.namespace, s.name): s for s in services}
    listeners, configs = [eg.ready_listener()], []
    result = _Clusters()
    attached = list(_attached(gateway, routes))
    for port, group in _by_port(gateway).items():
        name, bind = _listener_name(gateway, group[0]), container_port(port, envoy_proxy)
        if group[0]["protocol"] == "TCP":
            listeners.append(eg.tcp_listener(name, bind))
            result.clusters["EmptyCluster"] = eg.empty_cluster()
            continue
        hosts: dict[str, Json] = {}
        for one in (one for one in attached if one.listener in group):
            _add(one, gateway, btp.effective(one.route, gateway, policies), known, hosts, result)
        limited = any("rate_limits" in r.get("route", {}) for host in hosts.values() for r in host["routes"])
        if limited and proxy.limiter:
            result.clusters["ratelimit_cluster"] = eg.ratelimit_cluster(*proxy.limiter)
        listeners.append(eg.http_listener(name, bind, eg.filters(name, proxy if limited else None, client)))
        configs.append(eg.route_config(name, list(hosts.values())))
    return Xds(tuple(listeners), tuple(configs), tuple(result.clusters.values()), result.endpoints)


@dataclass(slots=True)
class _Clusters:
    """Clusters and their endpoints, by name, as they are gathered."""

    clusters: dict[str, Json] = field(default_factory=dict)
    endpoints: dict[str, Json] = field(default_factory=dict)


def _add(
    one: _Attachment,
    gateway: Json,
    policy: Json | None,
    known: dict[tuple[str, str], ServiceEntry],
    hosts: dict[str, Json],
    result: _Clusters,
) -> None:
    """Adds one route's clusters to `result` and its Envoy routes to the virtual hosts."""
    for i, rule in enumerate(one.route["spec"].get("rules") or ()):
        cluster, load = _backends(one.route, i, rule, known)
        if not isinstance(load, int):
            result.clusters[cluster] = eg.cluster(cluster, btp.thresholds(policy), eg.resource(one.route))
            result.endpoints[cluster] = load
        for host in one.hosts:
            name = _listener_name(gateway, one.listener)
            vhost = hosts.setdefault(host, eg.virtual_host(name, host, one.listener, gateway))
            vhost["routes"] += _routes(one.route, i, rule, host, policy, load)
            vhost["routes"].sort(key=_precedence)


def limits(gateway: Json, *, routes: Iterable[Json], backend_policies: Iterable[Json]) -> tuple[LimitRule, ...]:
    """What the rate limit service is sent for one Gateway: give the sum over all Gateways to set_rules."""
    policies = list(backend_policies)
    found: list[LimitRule] = []
    for one in _attached(gateway, routes):
        policy = btp.effective(one.route, gateway, policies)
        for i, rule in enumerate(one.route["spec"].get("rules") or ()):
            for host in one.hosts:
                for j, _ in enumerate(rule.get("matches") or [{}]):
                    domain = _listener_name(gateway, one.listener)
                    found += btp.limits_of(policy, domain, _route_name(one.route, i, j, host))
    return tuple(found)


def container_port(port: int, envoy_proxy: Json | None) -> int:
    """Where Envoy listens for a listener's port: below 1024, 10000 higher."""
    spec = (envoy_proxy or {}).get("spec") or {}
    kubernetes = (spec.get("provider") or {}).get("kubernetes") or {}
    return port if port >= 1024 or kubernetes.get("useListenerPortAsContainerPort") else port + _SHIFT


@dataclass(frozen=True, slots=True)
class _Attachment:
    """A route on a listener, with the hostnames that both allow."""

    route: Json
    listener: Json
    hosts: tuple[str, ...]


def _attached(gateway: Json, routes: Iterable[Json]) -> Iterator[_Attachment]:
    meta = gateway["metadata"]
    for route in routes:
        mine = [
            ref
            for ref in route["spec"].get("parentRefs") or ()
            if ref.get("kind", "Gateway") == "Gateway"
            and ref["name"] == meta["name"]
            and ref.get("namespace", route["metadata"].get("namespace")) == meta.get("namespace")
        ]
        if not mine:
            continue
        for listener in gateway["spec"]["listeners"]:
            fits = any(
                ref.get("sectionName", listener["name"]) == listener["name"]
                and ref.get("port", listener["port"]) == listener["port"]
                for ref in mine
            )
            hosts = _hosts(route["spec"].get("hostnames") or ["*"], listener.get("hostname") or "*")
            if fits and hosts and listener["protocol"] == "HTTP":
                yield _Attachment(route, listener, hosts)


def _hosts(wanted: list[str], allowed: str) -> tuple[str, ...]:
    if allowed == "*":
        return tuple(wanted)
    if allowed.startswith("*."):
        return tuple(allowed if host == "*" else host for host in wanted if host == "*" or host.endswith(allowed[1:]))
    return (allowed,) if "*" in wanted or allowed in wanted else ()


def _by_port(gateway: Json) -> dict[int, list[Json]]:
    groups: dict[int, list[Json]] = {}
    for listener in gateway["spec"]["listeners"]:
        groups.setdefault(int(listener["port"]), []).append(listener)
    return groups


def _listener_name(gateway: Json, listener: Json) -> str:
    return f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}/{listener['name']}"


def _rule_name(route: Json, rule: int) -> str:
    return f"httproute/{route['metadata']['namespace']}/{route['metadata']['name']}/rule/{rule}"


def _route_name(route: Json, rule: int, match: int, host: str) -> str:
    return f"{_rule_name(route, rule)}/match/{match}/{host.replace('.', '_')}"


def _backends(route: Json, i: int, rule: Json, known: dict[tuple[str, str], ServiceEntry]) -> tuple[str, Json | int]:
    """The cluster's name and its endpoints; or the status that answers for a backend that does not exist."""
    name = _rule_name(route, i)
    groups = []
    for j, ref in enumerate(rule.get("backendRefs") or ()):
        service = known.get((ref.get("namespace", route["metadata"]["namespace"]), ref["name"]))
        if service and ref["port"] in service.ports:
            target = service.ports[ref["port"]]
            groups.append((j, ref.get("weight", 1), [(ip, target) for ip in service.endpoints]))
    if not groups:
        return name, 500
    if not any(addresses for _, weight, addresses in groups if weight):
        return name, 503
    return name, eg.endpoints(name, groups)


def _routes(route: Json, i: int, rule: Json, host: str, policy: Json | None, load: Json | int) -> Iterator[Json]:
    for j, match in enumerate(rule.get("matches") or [{}]):
        name = _route_name(route, i, j, host)
        if isinstance(load, int):
            action: Json = {"direct_response": {"status": load}}
        else:
            to: Json = {"cluster": _rule_name(route, i), "upgrade_configs": [{"upgrade_type": "websocket"}]}
            if limits := btp.rate_limits(policy, name):
                to["rate_limits"] = limits
            if timeout := (rule.get("timeouts") or {}).get("request"):
                to["timeout"] = timeout
            action = {"route": to}
        metadata: Json = {"resources": [eg.resource(route)]}
        if policy:
            metadata["policies"] = [eg.resource(policy)]
        yield {
            "name": name,
            "match": _match(match),
            **action,
            "metadata": {"filter_metadata": {"envoy-gateway": metadata}},
        }


def _match(match: Json) -> Json:
    path = match.get("path") or {}
    kind, value = path.get("type", "PathPrefix"), path.get("value", "/")
    if kind == "Exact":
        found: Json = {"path": value}
    elif kind == "RegularExpression":
        found = {"safe_regex": {"regex": value}}
    else:
        found = {"prefix": "/"} if value == "/" else {"path_separated_prefix": value.rstrip("/")}
    headers = [{"name": ":method", "string_match": {"exact": match["method"]}}] if match.get("method") else []
    for header in match.get("headers") or ():
        regex = header.get("type") == "RegularExpression"
        to = {"safe_regex": {"regex": header["value"]}} if regex else {"exact": header["value"]}
        headers.append({"name": header["name"], "string_match": to})
    if headers:
        found["headers"] = headers
    return found


def _precedence(route: Json) -> tuple[int, int, int]:
    """Gateway API's order: exact paths, then regular expressions, then the longer prefix, then more headers."""
    match = route["match"]
    kind = 0 if "path" in match else 1 if "safe_regex" in match else 2
    length = len(match.get("path") or match.get("path_separated_prefix") or match.get("prefix") or "")
    return kind, -length, -len(match.get("headers", ()))
