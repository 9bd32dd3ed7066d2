"""Every test's outcomes over many runs: a database file, verdicts by sequential test, quarantine."""
