"""Installs the stack, and reads which versions run.

installation      the steps and their order, or a check of what somebody else installed
releases          Helm releases of a version set
running_versions  the versions that run, from images and the API server
"""
