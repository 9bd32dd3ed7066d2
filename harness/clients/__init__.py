"""Who sends traffic: the ingress client from outside, the mesh client from inside a pod."""
