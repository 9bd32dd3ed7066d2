"""The history of test outcomes over many runs: a database, sequential tests, quarantine."""
