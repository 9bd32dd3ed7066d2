"""`mesh-e2e preflight`: what a run can judge on a cluster, and what it cannot, before anything is applied."""
