"""What stands in for the world in the harness's own tests: programs on PATH, an API server, a clock, a cluster."""
