"""The rules, one function a subject, from the facts to rows. Pure.

mesh           istiod, ztunnel, Istio's CNI, the trust domain
envoy_gateway  the controller and its mode, proxies, access logs, the rate limit service
platform       nodes, clock, definitions, policies of the cluster that may stand in the way, rights
"""
