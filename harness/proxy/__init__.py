"""Pure readers of the admin pages of the proxies and the rate limit service.

config_dump   Envoy: listeners, clusters and routes that are active, warming or refused
stats         Envoy: counters and gauges of /stats
prometheus    any /metrics text
rlconfig      the rate-limit service's /rlconfig
ztunnel_dump  ztunnel: workloads, services and certificates it knows
"""
