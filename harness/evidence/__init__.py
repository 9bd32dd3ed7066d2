"""Pure judgements over recorded evidence, separate from the code that sends traffic.

joins                which log lines belong to the same request
verdict              held, broken or inconclusive, and how several make one
binomial             what chance allows of a count
hops                 the hops of one request's path through the mesh, and the verdict on them
journey              that path, joined from three kinds of log
open_connections     connections that are open still, as if ztunnel had written their lines
rate_limit_window    the arithmetic of fixed rate limit windows
hbone_port_conflict  Envoy has a waypoint's port 15008 and ztunnel does not: judged from both logs
"""
