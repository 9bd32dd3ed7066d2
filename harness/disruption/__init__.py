"""Disrupts the stack on purpose, and repairs it.

restarts             rolling restarts, force-deleted pods, Deployments scaled to 0 for a while
nodes                a stopped API server, a drained node
helm_upgrade         `helm upgrade` with other values, and back
route_edits          an HTTPRoute edited many times
deployment_env       environment variables of a Deployment, changed for a while
hbone_port_takeover  Envoy made to take a waypoint's port 15008 before ztunnel does
sandwich_waypoint    the waypoint of Istio's own class, scaled to 0
touched              what of others each of these touches, read from a suite's source; where that is not allowed
stack_recovery       the whole stack repaired after any of these
"""
