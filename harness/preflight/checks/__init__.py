"""The rules, one function a subject, from the facts to rows. Pure."""
