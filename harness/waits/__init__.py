"""Bounded waits until the cluster or a proxy has something; each raises NotReady with what was last seen."""
