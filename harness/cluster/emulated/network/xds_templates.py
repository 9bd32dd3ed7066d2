"""Templates of the xDS resources that Envoy Gateway sends to Envoy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.cluster.emulated.network.model import Json, Proxy

_EXT = "type.googleapis.com/envoy.extensions."
_BUFFER = 32768
_H2_WINDOWS: Json = {"initial_stream_window_size": 65536, "initial_connection_window_size": 1048576}

# tests/recordings/logs/access-*.json
ACCESS_LOG: Json = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "x-envoy-origin-path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "x-envoy-upstream-service-time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x-forwarded-for": "%REQ(X-FORWARDED-FOR)%",
    "user-agent": "%REQ(USER-AGENT)%",
    "x-request-id": "%REQ(X-REQUEST-ID)%",
    ":authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}


def resource(obj: Json) -> Json:
    """How an object is named in Envoy metadata."""
    meta = obj["metadata"]
    return {"kind": obj["kind"], "namespace": meta["namespace"], "name": meta["name"]}


def filters(domain: str, limited: Proxy | None, client_policy: Json | None) -> list[Json]:
    """A listener's HTTP filters; `limited` is given if one of its routes has a rate limit."""
    headers = ((client_policy or {}).get("spec") or {}).get("headers") or {}
    envoy_headers = bool(headers.get("enableEnvoyHeaders"))
    found = []
    if limited:
        service: Json = {
            "grpc_service": {"envoy_grpc": {"cluster_name": "ratelimit_cluster"}},
            "transport_api_version": "V3",
        }
        limit: Json = {
            "@type": f"{_EXT}filters.http.ratelimit.v3.RateLimit",
            "domain": domain,
            "rate_limit_service": service,
        }
        if limited.limiter_timeout is not None:
            limit["timeout"] = f"{limited.limiter_timeout:g}s"
        if limited.limiter_fail_closed:
            limit["failure_mode_deny"] = True
        if not headers.get("disableRateLimitHeaders"):
            limit["enable_x_ratelimit_headers"] = "DRAFT_VERSION_03"
        if not envoy_headers:
            limit["disable_x_envoy_ratelimited_header"] = True
        found.append({"name": "envoy.filters.http.ratelimit", "typed_config": limit})
    return [*found, _router(suppress=not envoy_headers)]


def http_listener(name: str, port: int, http_filters: list[Json]) -> Json:
    manager: Json = {
        "@type": f"{_EXT}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"http-{port}",
        "rds": {"config_source": {"ads": {}, "resource_api_version": "V3"}, "route_config_name": name},
        "http_filters": http_filters,
        "http2_protocol_options": {"max_concurrent_streams": 100, **_H2_WINDOWS},
        "access_log": [_access_log()],
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
        "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
    }
    return {
        **_listener(name, port),
        "access_log": [{**_access_log(), "filter": {"response_flag_filter": {"flags": ["NR"]}}}],
        "default_filter_chain": {"name": name, "filters": [_manager(manager)]},
        "max_connections_to_accept_per_socket_event": 1,
    }


def tcp_listener(name: str, port: int) -> Json:
    """A TCP listener without a route: every connection is closed at once (UH, EmptyCluster; docs/port-15008.md)."""
    proxy = {
        "@type": f"{_EXT}filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": f"tcp-{port}",
        "cluster": "EmptyCluster",
        "access_log": [_access_log()],
    }
    chain = {"name": name, "filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    return {
        **_listener(name, port),
        "access_log": [{**_access_log(), "filter": {"response_flag_filter": {"flags": ["NR"]}}}],
        "filter_chains": [chain],
        "max_connections_to_accept_per_socket_event": 1,
    }


def ready_listener(port: int = 19003) -> Json:
    ready = {
        "@type": f"{_EXT}filters.http.health_check.v3.HealthCheck",
        "pass_through_mode": False,
        "headers": [{"name": ":path", "string_match": {"exact": "/ready"}}],
    }
    host = {
        "name": "ready_route",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 500}}],
    }
    manager: Json = {
        "@type": f"{_EXT}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "eg-ready-http",
        "route_config": {"name": "ready_route", "virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.health_check", "typed_config": ready}, _router(suppress=True)],
    }
    return {
        "name": f"envoy-gateway-proxy-ready-0.0.0.0-{port}",
        "address": _address("0.0.0.0", port),
        "filter_chains": [{"filters": [_manager(manager)]}],
        "bypass_overload_manager": True,
    }


def route_config(name: str, virtual_hosts: list[Json]) -> Json:
    config: Json = {"name": name, "ignore_port_in_host_matching": True}
    return config | ({"virtual_hosts": virtual_hosts} if virtual_hosts else {})


def virtual_host(listener_name: str, host: str, listener: Json, gateway: Json) -> Json:
    owner = {**resource(gateway), "sectionName": listener["name"]}
    return {
        "name": f"{listener_name}/{host.replace('.', '_')}",
        "domains": [host],
        "routes": [],
        "metadata": {"filter_metadata": {"envoy-gateway": {"resources": [owner]}}},
    }


def cluster(name: str, thresholds: Json, owner: Json) -> Json:
    eds = {"eds_config": {"ads": {}, "resource_api_version": "V3"}, "service_name": name}
    return {
        **_cluster(name, "EDS", thresholds),
        "eds_cluster_config": eds,
        "dns_lookup_family": "V4_ONLY",
        "metadata": {"filter_metadata": {"envoy-gateway": {"resources": [owner]}}},
    }


def empty_cluster() -> Json:
    return {"name": "EmptyCluster", "type": "STATIC"}


def ratelimit_cluster(ip: str, port: int) -> Json:
    """As recorded, except: STATIC with the Service's VIP instead of its DNS name, and no TLS."""
    protocol = {
        "@type": f"{_EXT}upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": _H2_WINDOWS},
    }
    name = "ratelimit_cluster"
    one = {"endpoint": {"address": _address(ip, port)}, "load_balancing_weight": 1}
    group = {"locality": {"region": f"{name}/backend/-1"}, "lb_endpoints": [one], "load_balancing_weight": 1}
    return {
        **_cluster(name, "STATIC", {"max_retries": 1024}),
        "load_assignment": {"cluster_name": name, "endpoints": [group]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
    }


def endpoints(cluster_name: str, groups: Sequence[tuple[int, int, Sequence[tuple[str, int]]]]) -> Json:
    """A ClusterLoadAssignment: one locality per backendRef, `groups` holding (index, weight, [(ip, port)])."""
    found = []
    for i, weight, addresses in groups:
        if weight and addresses:
            one = [{"endpoint": {"address": _address(*to)}, "load_balancing_weight": 1} for to in addresses]
            region = f"{cluster_name}/backend/{i}"
            found.append({"locality": {"region": region}, "lb_endpoints": one, "load_balancing_weight": weight})
    return {"cluster_name": cluster_name, "endpoints": found}


def _cluster(name: str, kind: str, thresholds: Json) -> Json:
    policy = {
        "@type": f"{_EXT}load_balancing_policies.least_request.v3.LeastRequest",
        "locality_lb_config": {"locality_weighted_lb_config": {}},
    }
    extension = {"name": "envoy.load_balancing_policies.least_request", "typed_config": policy}
    return {
        "name": name,
        "type": kind,
        "connect_timeout": "10s",
        "per_connection_buffer_limit_bytes": _BUFFER,
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [thresholds]},
        "common_lb_config": {},
        "ignore_health_on_host_removal": True,
        "load_balancing_policy": {"policies": [{"typed_extension_config": extension}]},
    }


def _listener(name: str, port: int) -> Json:
    return {"name": name, "address": _address("0.0.0.0", port), "per_connection_buffer_limit_bytes": _BUFFER}


def _address(ip: str, port: int) -> Json:
    return {"socket_address": {"address": ip, "port_value": port}}


def _manager(config: Json) -> Json:
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _router(*, suppress: bool) -> Json:
    config: Json = {"@type": f"{_EXT}filters.http.router.v3.Router"}
    if suppress:
        config["suppress_envoy_headers"] = True
    return {"name": "envoy.filters.http.router", "typed_config": config}


def _access_log() -> Json:
    config = {
        "@type": f"{_EXT}access_loggers.file.v3.FileAccessLog",
        "path": "/dev/stdout",
        "log_format": {"json_format": dict(ACCESS_LOG)},
    }
    return {"name": "envoy.access_loggers.file", "typed_config": config}
