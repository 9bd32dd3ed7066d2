"""An emulated cluster: the Kubernetes API and controllers in one process, real Envoy and Redis as its children.

Real: HTTP and TCP traffic, Envoy, rate-limit state in Redis, circuit breaking, access logs, counters, admin pages.
Emulated: the Kubernetes API (`api/`), what controllers write (`controllers/`, in the words recorded on a real
cluster), ztunnel, the rate limit service and Bookinfo (`network/`). `world.py` joins the two halves, `faults.py`
breaks them on purpose, `cluster.py` is the harness's handle on the process that `__main__.py` is.

What is not emulated is rejected with an error: an unknown kind, a field that would have no effect, a command.
"""

from harness.cluster.emulated.cluster import EmulatedCluster

__all__ = ["EmulatedCluster"]
