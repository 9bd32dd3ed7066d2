"""Parsers of the admin pages of the proxies and the rate limit service. Pure."""
