"""Pure readers of log text: a line of ztunnel or Envoy becomes a value.

ztunnel            connections that ztunnel carried, and ports it could not bind
envoy_access       requests that Envoy answered (Envoy Gateway's default JSON access log)
envoy_xds_rejects  configuration that Envoy rejected, from its own log
unreadable         lines that look like what a parser reads, and could not be read
"""
