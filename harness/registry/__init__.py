"""Registries: references to images and charts, and the registries' own API."""
