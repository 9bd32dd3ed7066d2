"""Clusters behind one small protocol. Suites do not know which one they run on; reports always say which it was."""
