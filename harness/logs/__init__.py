"""Parsers of log lines of ztunnel and Envoy. Pure."""
