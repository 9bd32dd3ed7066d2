"""Clients that send traffic: from outside through the ingress, from inside the mesh in a pod."""
