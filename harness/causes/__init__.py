"""Likely causes of a failure, found by rules over the objects and log lines that were read. Pure."""
