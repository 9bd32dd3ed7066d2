"""Gathers evidence from a cluster when something failed."""

from harness.diagnostics.gather import gather

__all__ = ["gather"]
