"""Clusters behind one protocol. Suites do not know which kind they run on; reports always say."""
