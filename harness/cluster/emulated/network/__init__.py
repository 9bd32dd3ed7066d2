"""The network of the emulated cluster: what carries, proxies, limits and answers calls. Knows no Kubernetes API."""
