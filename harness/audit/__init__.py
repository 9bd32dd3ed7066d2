"""`mesh-e2e audit`: a read-only check of a cluster that others made. Nothing is applied; get and list only.

finding    one finding, and what could not be judged
state      pure: what was read of a cluster
mesh       pure: who is bound to which waypoint, which Gateway is Envoy Gateway's
read       the only I/O: lists by pages, with a bounded rate
checks     pure: rules from the state to findings
catalogue  pure: every check, and the kinds that it needs
support    pure: how long versions are supported, with sources
output     pure: text, JSON, SARIF, Markdown
rbac       pure: the least ClusterRole
command    the command line's part
"""
