"""All timeouts of waits, in seconds; the emulated cluster has its own. A timeout is a budget, not an expectation.

What is looked at until it is so (`wait.until`) is given E2E_PATIENCE times its bound. One answer is not: of a program,
an API or HTTP request, a load, the diagnostics.
"""

CLUSTER_CREATE = 300.0  # `kind create cluster`: 27 s seen on 2 cores
CLUSTER_DELETE = 120.0  # `kind delete cluster`
IMAGE_LOAD = 300.0  # all archives of a bundle into all nodes: 41 s seen
DOWNLOAD = 600.0  # one program of a release: kubectl is 58 MiB
PROGRAM = 30.0  # one word of docker, kind or helm about what is there
PROGRAM_END = 5.0  # a program that got a signal to end has ended
INNER_END = 240.0  # a run inside another has gathered its evidence, and taken its cluster away
PIPE_END = 1.0  # what an ended program wrote has been read
HELM = 300.0  # one helm command, its hooks included: 214 s seen on 2 cores under a load of 30
ROLLOUT = 240.0  # a workload's pods, scheduled, pulled and ready
TROUBLE_GRACE = 8.0  # how long a pull or crash reason must stand before it is final
UNRESOLVED_GRACE = 60.0  # a registry's name does not resolve on a node: kubelet has tried three times
MOUNT_GRACE = 20.0  # a ConfigMap or Secret that a pod mounts does not exist: it may be applied a moment later
SANDBOX_GRACE = 45.0  # no network for a pod: kubelet tries again every 12 s or so while the CNI plugin starts
EVENTS_AFTER = 3.0  # a workload is not ready so long: Events are read, and then as often
STATUS = 60.0  # a controller writes a condition: 0.1 s seen, 17 s after a leader change
ANNOUNCED = 30.0  # an assigned address accepts connections: a node announces it after it is assigned
LISTENER = 10.0  # a ready proxy accepts connections at its Service's address: 1 s seen under load
XDS_PROPAGATION = 45.0  # Accepted to enforced: 15.0 s seen for cluster changes, 0.1 s for routes
WASM_COMPILED = 180.0  # a proxy compiles a Wasm module of 24 MB and makes it ready for each worker: 98 s seen
SILENCE = 8.0  # what is ignored had time to take effect: ten times what a route takes that is not
DATAGRAM = 2.0  # a datagram comes back, or is lost
LOG_LINE = 20.0  # ztunnel logs a connection when it closes: 2 s productpage, 5 s ratings
JOURNEY = 45.0  # every connection of a request has closed: 30 s behind a waypoint that gets no more requests
LIMITER_READY = 60.0  # the rate limit service has its rules and Envoy has reconnected to it
LIMITER_COUNTERS = 30.0  # the limiter's counters stand still
LIMITER_SETTLED = 1.6  # it flushes them every second (manifests/values/gateway-helm.yaml)
PORT_FORWARD = 20.0  # kubectl prints its local port
EXEC = 120.0  # one call of the mesh client, bursts on a slow backend included
HTTP = 30.0  # one answer; v-delayed takes 7 s, and Envoy's own route time-out is 15 s
HTTP_CONNECT = 5.0
API = 30.0  # one Kubernetes API request
API_CONNECT = 5.0  # the API server takes a connection
API_FIRST = 10.0  # the first answer of a server of which nothing is known yet
DELETE = 60.0  # an object is gone
JUDGE = 900.0  # the tests of a run on its records: 10 s or so, where nothing is waited for
HOUR_MARGIN = 120.0  # what a rate-limit file needs of the hour, whose turn ends its windows; with patience more
CAUSES = 10.0  # the reads that name the cause of a failure, all together
MISSING_GRACE = 8.0  # what an object refers to may be created after it
GATHER = 90.0  # all of the diagnostics
LOAD_BEGIN = 15.0  # fortio answers its first requests: 2 s seen, 8 s on a machine under load
LOAD_LINES = 6.0  # a proxy's log has a line of each answer of a load: 0.2 s seen
KUBELET_STATS = 60.0  # a kubelet has measured its containers again: every 10 to 15 s
LOAD_END = 20.0  # a load says what became of its last requests
CERTIFICATES = 60.0  # certificates made to be turned every 10 s are turned
PORT_TAKEN = 20.0  # Envoy takes port 15008 before a restarted ztunnel does, or never
UPGRADED = 180.0  # a chart of another version has rolled out: new images start, one pod after another
DISTURBED = 90.0  # what was broken on purpose is whole again
CONFORMANCE_BUILD = 1800.0  # Go fetches and builds the conformance suite: some 700 packages
CONFORMANCE = 2400.0  # one run of the suite: 330 s seen; a test that fails takes 30 to 60 s for each request
NAMESPACE_GONE = 180.0  # a namespace of the conformance suite, its proxies included, is gone
CONFORMANCE_COPY = 300.0  # its binary, 50 MB, is in the pod
