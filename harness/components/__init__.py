"""The data plane's own word: Envoys of a Gateway, ztunnel of every node, istiod and the limiter."""

from harness.components.envoy import Envoy
from harness.components.istiod import Istiod
from harness.components.limiter import Counters, Limiter
from harness.components.ztunnels import Ztunnels

__all__ = ["Counters", "Envoy", "Istiod", "Limiter", "Ztunnels"]
