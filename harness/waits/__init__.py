"""Bounded waits until the cluster or a proxy has something; each raises NotReady with what was last seen.

rollouts            Deployments and DaemonSets rolled out, CRDs established, nodes Ready
status              a condition of an object's current generation
gateways            a Gateway: status, proxy pod, a first answer through it
waypoints           a Service bound to a waypoint, and calls that pass it
envoy_config        what is in Envoy's active configuration: endpoints, routes, timeouts
policy_propagation  a policy from Accepted to Envoy's active configuration, both timed
responses           a request answered with the expected status
"""
