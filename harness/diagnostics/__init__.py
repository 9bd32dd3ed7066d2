"""Collects diagnostics from a cluster after a failure."""

from harness.diagnostics.gather import gather

__all__ = ["gather"]
