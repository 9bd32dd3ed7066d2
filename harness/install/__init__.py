"""Installs the stack, and reads the running versions."""
