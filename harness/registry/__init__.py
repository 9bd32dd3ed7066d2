"""Image registries: references, and the registries' API."""
