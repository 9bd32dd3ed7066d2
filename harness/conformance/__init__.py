"""The Gateway API's own conformance suite on a cluster of ours, and what it does not look at.

suite_log  the suite's log: each test, its tries, its waits (pure)
verdicts   what each pass is worth: who answered, whether the mesh was in the path, outside against inside (pure)
binary     the suite's test binary, given or built from its Go module
running    runs it as a Job, and deletes what it made
recording  its files, its backends' logs and ztunnel's lines
command    `mesh-e2e conformance`
"""
