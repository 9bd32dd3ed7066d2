"""Runs the Gateway API conformance suite, and judges its results on the mesh."""
