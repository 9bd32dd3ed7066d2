"""The version matrix: which versions are run together, planned, run cell by cell, merged."""
