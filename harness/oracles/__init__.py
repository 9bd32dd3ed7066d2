"""Oracles: checks of every component during every run, in addition to the tests' assertions."""
