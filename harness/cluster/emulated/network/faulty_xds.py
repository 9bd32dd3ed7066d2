"""xDS made wrong on purpose, where nothing else can play the fault. Pure: Xds in, Xds out."""

from __future__ import annotations

import copy
from dataclasses import replace

from harness.cluster.emulated.network.model import Json, Xds

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_SUFFIX = "/leak"
_SCRIPT = """
local names = {":method", ":path", ":authority", "x-request-id", "user-agent"}
function envoy_on_request(handle)
  local metadata = handle:streamInfo():dynamicMetadata()
  for _, name in ipairs(names) do
    metadata:set("leak", name, handle:headers():get(name) or "")
  end
end
function envoy_on_response(handle)
  local status = handle:headers():get(":status")
  local kept = handle:streamInfo():dynamicMetadata():get("leak")
  if kept and (status == "429" or status == "503") then
    handle:httpCall("CLUSTER", kept, "", 5000, true)
  end
end
"""


def leak(xds: Xds, *, aside: bool = True) -> Xds:
    """Requests that Envoy refuses (429, 503) reach the backend all the same, once the client has its response.

    Each listener's leak goes to the cluster of its first route: `aside` by a copy of it that has no thresholds and
    whose counters are not read, else by itself.
    """
    to = {config["name"]: cluster for config in xds.routes if (cluster := _first_cluster(config))}
    if not aside:
        return replace(xds, listeners=tuple(_leaking(copy.deepcopy(one), to.get(one["name"])) for one in xds.listeners))
    copies = [_unbounded(c) for c in xds.clusters if c["name"] in to.values()]
    return replace(
        xds,
        listeners=tuple(_leaking(copy.deepcopy(one), _copy_of(to.get(one["name"]))) for one in xds.listeners),
        clusters=(*xds.clusters, *copies),
    )


def _first_cluster(config: Json) -> str | None:
    found = (r["route"]["cluster"] for h in config.get("virtual_hosts", ()) for r in h["routes"] if "route" in r)
    return next(found, None)


def _copy_of(cluster: str | None) -> str | None:
    return cluster + _SUFFIX if cluster else None


def _unbounded(cluster: Json) -> Json:
    return {k: v for k, v in cluster.items() if k != "circuit_breakers"} | {"name": cluster["name"] + _SUFFIX}


def _leaking(listener: Json, cluster: str | None) -> Json:
    if cluster:
        source = {"inline_string": _SCRIPT.replace("CLUSTER", cluster)}
        lua = {"name": "envoy.filters.http.lua", "typed_config": {"@type": _LUA, "default_source_code": source}}
        for network_filter in listener["default_filter_chain"]["filters"]:
            network_filter["typed_config"]["http_filters"].insert(0, lua)
    return listener
