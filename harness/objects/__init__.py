"""Pure functions that read Kubernetes objects, as `kubectl get -o json` returns them."""
