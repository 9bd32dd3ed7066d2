"""Translates errors of Kubernetes API calls to the harness's exceptions."""

from __future__ import annotations

import re
from typing import Any

import urllib3
import yaml
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from harness.errors import HarnessError
from harness.strict_yaml import parse_yaml


class ApiUnavailable(HarnessError):
    """The API server did not answer, or with a response that is not about the request itself (429, 5xx)."""


class ObjectMissing(HarnessError):
    """The object, or its kind, does not exist."""

    observed = True


class Conflict(HarnessError):
    """Another field manager owns what was to be changed."""

    observed = True


class RequestRejected(HarnessError):
    """The API server rejected a request: invalid, forbidden, denied by a webhook. Its own message is quoted."""

    observed = True


def translate_error(what: str, error: Any) -> HarnessError:
    """What the official client raised, as one of ours; `what` says what was asked."""
    message = server_message(error)
    match int(error.status or 0):
        case 404:
            return ObjectMissing(f"{what} does not exist: {message}")
        case 409:
            return Conflict(f"{what}: {message}", remedy="another manager owns this field: change its values instead")
        case 401:
            return RequestRejected(
                f"{what}: 401, the API server does not accept these credentials: {message}",
                remedy="renew them: `kubectl auth whoami` with the same kubeconfig and context must work",
            )
        case 403 if forbidden := _FORBIDDEN.search(message):
            return _not_allowed(what, message, forbidden)
        case 0 | 429 | 500 | 502 | 503 | 504:
            return ApiUnavailable(f"{what}: {error.status} {message}")
        case status:
            return RequestRejected(f"{what}: {status} {message}")


def unanswered_error(what: str, host: str, error: urllib3.exceptions.HTTPError) -> ApiUnavailable:
    """The error of a request that was not answered, in one sentence."""
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    match cause:
        case urllib3.exceptions.NewConnectionError():  # a ConnectTimeoutError too; its text ends with the reason
            message = " ".join(str(cause).split()).rpartition("connection: ")[2][:300]
        case urllib3.exceptions.ConnectTimeoutError():
            message = "it accepts no connection in time"
        case urllib3.exceptions.ReadTimeoutError():
            message = "it accepted the request and did not respond"
        case urllib3.exceptions.ProxyError():
            message = "the proxy does not connect (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY; NO_PROXY lists what bypasses it)"
        case urllib3.exceptions.ProtocolError():
            message = "it closed the connection"
        case _:
            message = " ".join(str(cause).split())[:300]
    return ApiUnavailable(f"{what}: the API server did not answer ({host}): {message}")


# "... cannot get resource "pods" in API group "" in the namespace "default"": the API server's authorizer.
_FORBIDDEN = re.compile(
    r'cannot (\w+) resource "([^"]+)"(?: in API group "([^"]*)")?(?: in the namespace "([^"]+)"| at the cluster scope)?'
)


def _not_allowed(what: str, message: str, forbidden: re.Match[str]) -> RequestRejected:
    """What the authorizer refused. Other 403s (admission, quota) are quoted as they are."""
    verb, resource, group, namespace = forbidden.groups()
    whole = f"{resource}.{group}" if group else resource
    where = f" in namespace {namespace}" if namespace else ""
    option = f" --namespace {namespace}" if namespace else ""
    return RequestRejected(
        f"{what}: 403, these credentials may not {verb} {whole}{where}: {message}",
        remedy=f"grant it by RBAC, or use other credentials (`kubectl auth can-i {verb} {whole}{option}` shows it)",
    )


def server_message(error: Any) -> str:
    """The server's own words, on one line."""
    if isinstance(error, ResourceNotFoundError):
        return "no such kind"
    try:
        body = parse_yaml(error.body) if error.body else {}
        text = body.get("message", "") if isinstance(body, dict) else str(body)
    except yaml.YAMLError:
        text = str(error.body)
    return " ".join(str(text or error.reason).split())[:500]
