"""Oracles: checks of every component that hold for every run, beside what the tests assert."""
