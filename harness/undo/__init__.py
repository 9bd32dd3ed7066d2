"""Changes to a cluster that are undone at the end, even after the process was killed."""
