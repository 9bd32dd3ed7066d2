"""Oracles: checks of every component that hold for every run, beside what the tests assert.

signs      one thing seen that should not be; pure readers from logs, statistics and pods to signs
known      those that are expected, with reason and link, until they are no longer seen
ours       which of them are about what the run made, in a cluster that others use too
collector  reads logs and counters of every component; the only one that does I/O
"""
