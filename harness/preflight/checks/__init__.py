"""The preflight checks, one function for each subject, from facts to rows. Pure."""
