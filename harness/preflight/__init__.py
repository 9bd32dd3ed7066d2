"""`mesh-e2e preflight`: checks what a run can judge on a cluster, before anything is applied."""
