"""The rules: each from the state to findings, one module a subject. Pure; harness/audit/catalogue.py lists them."""
