"""Experiments: send traffic, gather what clients and proxies saw, return a value to be judged."""
