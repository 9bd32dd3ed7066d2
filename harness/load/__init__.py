"""Load with a timeline: what each request of a steady flow got, when, and what was done meanwhile."""
