"""Experiments: send traffic, gather what clients and proxies saw, return a value to be judged.

burst                 a burst of requests, their access lines and the overflow counter
bypass                a call past a proxy and one through it
place                 where a feature is tried, and every witness of what is sent there
policy_trial          a feature before, under and after its manifest: three arms of the same requests
policy_timing         seconds from a policy's apply to Accepted and to enforcement, and back
journey_collector     each request's path through the mesh, once all its log lines are there
oidc_session          a login at an identity provider and a logout, by requests and in a browser
first_wasm_module     whether a running Envoy survives its first Wasm module
idle_connections      requests with pauses, and the connections that Envoy closes in them
certificate_rotation  workload certificates before and after ztunnel renews them
"""
