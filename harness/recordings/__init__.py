"""Recordings from real clusters (log lines, statuses, counters), for the tests of parsers."""
