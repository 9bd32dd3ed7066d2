"""Disrupts the stack on purpose, and repairs it."""
