"""Envoy's bootstrap configuration, for pods that share one network namespace and have loopback addresses. Pure.

Bootstrap after the recorded one (tests/recordings/admin/*-config_dump.json, `BootstrapConfigDump`). What differs: every
listener binds the pod's hidden twin address and learns the pod's own from the PROXY header that ztunnel writes; admin
and xDS are on that twin too; calls leave from the pod's address. The TCP listener on 15008 alone binds the pod's
own address, where ztunnel holds the same port (docs/port-15008.md).
"""

from __future__ import annotations

import copy
from typing import Any

from harness.cluster.emulated.network.addresses import hidden
from harness.cluster.emulated.network.model import HBONE_PORT, Json, Xds
from harness.cluster.emulated.network.shortened_idle_timeout import idle_seconds

ADMIN_PORT, XDS_PORT = 19000, 18000
FETCH_TIMEOUT = 15.0  # seconds; Envoy's initial fetch timeout, which a changed cluster waits out (docs/waiting.md)
_EXTENSIONS = "type.googleapis.com/envoy.extensions."
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def localize(xds: Xds, pod_ip: str, delay_factor: float) -> Xds:
    """Envoy Gateway's resources, made for a pod that has loopback addresses only. See the module's docstring.

    Clusters get two times of their own: the fetch timeout, and an idle timeout. By the latter Envoy, not the app, ends
    an idle connection: keep-alives cut down to milliseconds would else often race with a request (503, UC).
    """
    return Xds(
        listeners=tuple(_listener(copy.deepcopy(one), pod_ip) for one in xds.listeners),
        routes=xds.routes,
        clusters=tuple(_cluster(copy.deepcopy(one), delay_factor) for one in xds.clusters),
        endpoints=xds.endpoints,
    )


def _listener(listener: Json, pod_ip: str) -> Json:
    socket: dict[str, Any] = listener["address"]["socket_address"]
    if socket["address"] != "0.0.0.0":
        return listener  # meant as it is
    if socket["port_value"] == HBONE_PORT:
        socket["address"] = pod_ip
        return listener
    socket["address"] = hidden(pod_ip)
    if not listener.get(
        "bypass_overload_manager"
    ):  # not the stats and readiness listeners: no ztunnel connects to them
        proxied = f"{_EXTENSIONS}filters.listener.proxy_protocol.v3.ProxyProtocol"
        listener["listener_filters"] = [
            {
                "name": "envoy.filters.listener.proxy_protocol",
                "typed_config": {"@type": proxied, "allow_requests_without_proxy_protocol": True},
            }
        ]
    return listener


def _cluster(cluster: Json, delay_factor: float) -> Json:
    if cluster.get("type") == "EDS":
        eds = cluster["eds_cluster_config"]["eds_config"]
        eds.setdefault("initial_fetch_timeout", f"{FETCH_TIMEOUT / delay_factor:.3f}s")
        cluster["typed_extension_protocol_options"] = {
            _HTTP_OPTIONS: {
                "@type": f"{_EXTENSIONS}upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": f"{idle_seconds(delay_factor):.3f}s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        }
    return cluster


def bootstrap(pod_ip: str, cluster: str) -> Json:
    """Envoy Gateway's bootstrap as recorded, less what needs Kubernetes (TLS and the token of the xDS cluster), the
    listener of its metrics, and the
    runtime guard use_eds_cache_for_ads, which newer Envoys have for good and no longer know by name."""
    at = hidden(pod_ip)
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "admin": {"address": _address(at, ADMIN_PORT)},
        "cluster_manager": {"upstream_bind_config": {"source_address": {"address": pod_ip, "port_value": 0}}},
        "dynamic_resources": {
            "lds_config": ads,
            "cds_config": ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds_cluster"}}],
                "set_node_on_first_message_only": True,
                "transport_api_version": "V3",
            },
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": "global_config",
                    "static_layer": {
                        "re2.max_program_size.error_level": 4294967295,
                        "re2.max_program_size.warn_level": 1000,
                    },
                }
            ]
        },
        "static_resources": {
            "clusters": [
                {
                    **_static_cluster("xds_cluster", at, XDS_PORT, "10s"),
                    "typed_extension_protocol_options": {
                        _HTTP_OPTIONS: {
                            "@type": f"{_EXTENSIONS}upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {
                                "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                            },
                        }
                    },
                },
            ],
        },
        "stats_config": {
            "use_all_default_tags": True,
            "stats_tags": [
                {"tag_name": "from_zone", "regex": r"\.zone(\.(([^\.]+)\.))"},
                {"tag_name": "to_zone", "regex": r"\.zone\.[^\.]+\.(([^\.]+)\.)"},
                {"tag_name": "socket_match_name", "regex": r"^cluster(\..+\.(.+))\.total_match_count$"},
                {"tag_name": "priority", "regex": r"circuit_breakers\.((.+?)\.).+"},
            ],
        },
        "node": {"id": "set on the command line", "cluster": cluster},
    }


def _address(ip: str, port: int) -> Json:
    return {"socket_address": {"address": ip, "port_value": port}}


def _static_cluster(name: str, ip: str, port: int, connect_timeout: str) -> Json:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(ip, port)}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": connect_timeout,
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }
