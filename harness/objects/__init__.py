"""Pure reads of Kubernetes objects, as `kubectl get -o json` gives them: no I/O, no waiting.

unstructured  safe steps into JSON values of unknown shape
conditions    status conditions of every shape, and one judgement about one of them
workloads     Pods, Deployments and DaemonSets: ready, rolled out, in trouble
refs          names of objects, and where each kind lives
manifests     manifest documents, checked before anything is applied
definitions   custom resource definitions, and of which Gateway API they are
pulls         what a failed image pull means
events        failures that only Events tell
addresses     hosts with ports, IPv4 and IPv6
patches       merge patches, and what takes one back
"""
