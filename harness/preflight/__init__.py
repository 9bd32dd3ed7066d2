"""`mesh-e2e preflight`: what a run can judge on a cluster, and what it cannot, before anything is applied.

row      one line of the table: what was found, whether it can be judged, why not, and the remedy
rights   pure: the API rights that a run needs, declared once for `preflight` and `mesh-e2e rbac`
facts    what was read of the cluster
read     the only I/O: GET, list, and access reviews
checks   pure: rules from the facts to rows
table    pure: every rule in order; the rows as text and JSON; the capabilities that the cluster lacks
command  the command line's part
"""
