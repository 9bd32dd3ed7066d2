"""The network of the emulated cluster: what carries, proxies, limits and answers calls. Knows no Kubernetes API.

model        values: Workload, ServiceEntry, Limit, Xds
addresses    loopback addresses of pods, Services and nodes
translate    Gateway API and Envoy Gateway objects -> Xds and Limits (with supported, policies, resources; pure)
envoy        a real Envoy process (bootstrap), configured by xds (the control plane's side of ADS); spoil corrupts that
ztunnel      who holds which address; routing decides, carrier and splice carry, flow and ztunnel_pages tell
limiter      envoyproxy/ratelimit's service by the rules of windows, over a real Redis (redis)
bookinfo     the Bookinfo apps
process      a real program as a child
"""
