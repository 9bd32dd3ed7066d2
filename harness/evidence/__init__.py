"""Pure functions that judge recorded evidence; they send no traffic."""
