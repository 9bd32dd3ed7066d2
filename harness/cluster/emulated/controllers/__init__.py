"""The emulated controllers of Kubernetes, Envoy Gateway and istiod, which write statuses and objects.

Each controller has a `sync`, which looks at all objects and writes what is missing or wrong; it is called after each
change until nothing changes any more. None waits, and none does I/O: what runs is the kubelet's and the world's.
"""
