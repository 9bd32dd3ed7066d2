"""What must hold over every run, whatever it tested, and what no status shows.

signs      one thing seen that should not be; pure readers from logs, statistics and pods to signs
known      those that are expected, with reason and link, until they are no longer seen
collector  reads logs and counters of every component; the only one that does I/O
"""
