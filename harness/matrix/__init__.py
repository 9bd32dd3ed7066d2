"""The version matrix: plans, runs and merges runs of combined versions."""
