"""The Kubernetes API client of the harness: plain dicts, server-side apply, bounded calls."""

from harness.kube.client import Kube
from harness.kube.errors import ApiUnavailable, Conflict, ObjectMissing, RequestRejected

__all__ = ["ApiUnavailable", "Conflict", "Kube", "ObjectMissing", "RequestRejected"]
