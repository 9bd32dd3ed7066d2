"""All that is installed in a cluster, in order, and whether it is ready."""
