"""`mesh-e2e audit`: a read-only audit of an existing cluster. It only lists and gets objects."""
