"""Kubernetes Status errors that the emulated API returns."""

from __future__ import annotations

from harness.cluster.emulated.api.kinds import Object, ResourceKind


class ApiError(Exception):
    """An answer other than success: HTTP `code`, Kubernetes' `reason`, a message, and the fields it is about."""

    def __init__(self, code: int, reason: str, message: str, *, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.fields = code, reason, message, fields or {}

    @property
    def status(self) -> Object:
        """The Status object that is the body of the answer."""
        causes = [{"field": field, "message": why, "reason": self.reason} for field, why in self.fields.items()]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": {"causes": causes} if causes else {},
            "code": self.code,
        }


def not_found(kind: ResourceKind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.storage} "{name}" not found')


def exists(kind: ResourceKind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.storage} "{name}" already exists')


def bad(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def invalid(kind: str, name: str, fields: dict[str, str]) -> ApiError:
    """422: each field with why it is wrong, or that it would have no effect here."""
    listed = "; ".join(f"{field}: {why}" for field, why in fields.items())
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {listed}', fields=fields)
