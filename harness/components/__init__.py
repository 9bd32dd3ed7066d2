"""The running components (Envoy, ztunnel, istiod, rate limit service): their logs, counters and admin pages."""

from harness.components.echo import Echo
from harness.components.envoy import Envoy
from harness.components.istiod_counters import Istiod
from harness.components.rate_limit_service import Counters, RateLimitService
from harness.components.ztunnels import Ztunnels

__all__ = ["Counters", "Echo", "Envoy", "Istiod", "RateLimitService", "Ztunnels"]
