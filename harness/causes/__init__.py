"""Why something failed, as far as the evidence shows: rules over objects and log lines that were read. Pure."""
