"""Disrupts the stack on purpose (restarts, outages, upgrades), and repairs it."""
