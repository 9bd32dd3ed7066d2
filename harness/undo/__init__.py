"""Changes to a cluster that are undone, also after this process was killed."""
