"""Everything worth keeping when something went wrong."""

from harness.diagnostics.gather import gather

__all__ = ["gather"]
