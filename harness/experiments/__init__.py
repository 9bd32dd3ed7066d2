"""Experiments: functions that send traffic, collect what clients and proxies saw, and return it for the asserts."""
