"""Recordings of what a real cluster writes: log lines, statuses and counters, for the tests of their readers.

selection  which lines, conditions and counters are kept, of each kind one. Pure
reading    reads them from a running cluster, while its tests run
command    `mesh-e2e record`: runs the article's suites on a running cluster and has them recorded
"""
