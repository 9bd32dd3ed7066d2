"""Pure judgements over recorded evidence, separate from the code that sends traffic.

joins                which log lines belong to the same request
verdict              held, broken or inconclusive, and how several make one
binomial             what chance allows of a count
journey              one request's path through the mesh, joined from three kinds of log
rate_limit_window    the arithmetic of fixed rate limit windows
hbone_port_conflict  Envoy has a waypoint's port 15008 and ztunnel does not: judged from both logs
"""
