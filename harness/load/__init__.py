"""Steady load with a timeline: the result of each request, and what was done at that time."""
