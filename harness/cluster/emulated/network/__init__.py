"""The emulated network and data plane: connections, ztunnel, Envoys, rate limit service. Knows no Kubernetes API."""
