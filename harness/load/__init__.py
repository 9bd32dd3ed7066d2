"""Background load with a timeline: the result of each request, and the events meanwhile."""
