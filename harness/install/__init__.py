"""Installs the stack, and reads which versions run."""
