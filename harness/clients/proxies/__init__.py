"""The data plane's own word: Envoys of a Gateway, ztunnel of every node, istiod and the limiter."""

from harness.clients.proxies.envoy import Envoy
from harness.clients.proxies.istiod import Istiod
from harness.clients.proxies.limiter import Counters, Limiter
from harness.clients.proxies.ztunnels import Ztunnels

__all__ = ["Counters", "Envoy", "Istiod", "Limiter", "Ztunnels"]
