"""Pure reads of Kubernetes objects, as `kubectl get -o json` gives them: no I/O, no waiting."""
