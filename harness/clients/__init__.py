"""Clients that send test traffic, from outside through the ingress and from inside the mesh."""
