"""Pure judgements over recorded evidence, separate from the code that sends traffic."""
