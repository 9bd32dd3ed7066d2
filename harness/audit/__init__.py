"""`mesh-e2e audit`: a read-only check of a cluster that others made. Nothing is applied; get and list only."""
