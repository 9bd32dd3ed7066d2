"""Recordings of what a real cluster writes: log lines, statuses and counters, for the tests of their readers."""
