"""The emulated Kubernetes API server, as far as the Python client, kubectl get and kubectl apply need it.

kmock (PyPI, 0.8) was looked at first. It is a mock to be scripted by a test: it keeps every request it ever saw, has no
server-side apply, no strategic merge, no generations, no owner references, no pod logs and no exec. What is left
(discovery, a dictionary of objects, watches) is the small part of this package, so it would be a dependency for little.
"""
