"""What Kubernetes', Envoy Gateway's and istiod's controllers write, in the words recorded on a real cluster.

Each controller has a `sync`, which looks at all objects and writes what is missing or wrong; it is called after each
change until nothing changes any more. None waits, and none does I/O: what runs is the kubelet's and the world's.
"""
