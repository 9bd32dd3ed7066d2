"""Why something failed, as far as the evidence shows: rules over objects and log lines that were read. Pure.

state       what was read of the cluster, what failed, and a cause in one sentence
references  objects that refer to something that does not exist
policies    policies that are not the suite's and apply to the same traffic
changes     objects that are not as the harness applied them
statuses    what statuses say against the claim; policies that are accepted and not enforced; counters
paths       which way requests took, and who answered them, by access logs
connections connections that ztunnel carried otherwise than the pods' objects say
limits      rate limits that let more or fewer requests pass than their policy allows
traffic     backends without endpoints, hostnames of routes, Envoy's response flags
mesh        connections that ztunnel rejected or carried past the mesh
components  pods of the stack that are not ready, DNS, ports that ztunnel could not bind
rules       all rules, the most specific first
"""
