"""The Gateway API's own conformance suite on a cluster of ours, and what it does not look at."""
