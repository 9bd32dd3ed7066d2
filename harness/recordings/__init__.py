"""Recordings of what a real cluster writes: log lines, statuses and counters, for the tests of their readers.

selection  which lines, conditions and counters are kept, of each kind one. Pure
recording  a recording while it grows, and its files
reading    reads it from a running cluster, while its tests run
from_run   makes it of a run's records
command    `mesh-e2e record`: runs the article's suites on a running cluster and has them recorded
"""
