"""How a call of the Kubernetes API fails, in the harness's own words."""

from __future__ import annotations

from typing import Any

import yaml
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from harness.errors import HarnessError


class ApiUnavailable(HarnessError):
    """The API server did not answer, or not in a way that speaks of our request (429, 5xx)."""


class Missing(HarnessError):
    """The object, or its kind, is not there."""

    observed = True


class Conflict(HarnessError):
    """Another field manager owns what was to be changed."""

    observed = True


class Refused(HarnessError):
    """The API server said no: invalid, forbidden, denied by a webhook. Its own message is quoted."""

    observed = True


def translated(what: str, error: Any) -> HarnessError:
    """What the official client raised, as one of ours; `what` says what was asked."""
    said = message(error)
    match int(error.status or 0):
        case 404:
            return Missing(f"{what} is not there: {said}")
        case 409:
            return Conflict(f"{what}: {said}", remedy="another manager owns this field: change its values instead")
        case 0 | 429 | 500 | 502 | 503 | 504:
            return ApiUnavailable(f"{what}: {error.status} {said}")
        case status:
            return Refused(f"{what}: {status} {said}")


def message(error: Any) -> str:
    """The server's own words, on one line."""
    if isinstance(error, ResourceNotFoundError):
        return "no such kind"
    try:
        body = yaml.safe_load(error.body) if error.body else {}
        text = body.get("message", "") if isinstance(body, dict) else str(body)
    except yaml.YAMLError:
        text = str(error.body)
    return " ".join(str(text or error.reason).split())[:500]
