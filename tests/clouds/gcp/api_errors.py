"""Google's errors, as its servers write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
_OLDER_REASONS = {
    "INVALID_ARGUMENT": (400, "invalid"),
    "FAILED_PRECONDITION": (412, "conditionNotMet"),
    "ABORTED": (412, "conditionNotMet"),
    "PERMISSION_DENIED": (403, "forbidden"),
    "NOT_FOUND": (404, "notFound"),
    "ALREADY_EXISTS": (409, "alreadyExists"),
}
_TYPES = "type.googleapis.com/google.rpc."


@dataclass(frozen=True)
class ApiError(Exception):
    status: str
    """The name of a canonical code."""
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    delay: timedelta | None = None
    quota: str = ""
    is_rate: bool = False

    def rest(self, *, older: bool) -> tuple[int, dict[str, Any]]:
        """Return the answer of an API that writes `google.rpc.Status`, or of an older one."""
        if older:
            return self._older()
        details: list[dict[str, Any]] = []
        if self.reason:
            details.append(
                {
                    "@type": f"{_TYPES}ErrorInfo",
                    "reason": self.reason,
                    "domain": "googleapis.com",
                    "metadata": dict(self.metadata),
                }
            )
        if self.delay is not None:
            details.append(
                {
                    "@type": f"{_TYPES}RetryInfo",
                    "retryDelay": f"{self.delay.total_seconds():g}s",
                }
            )
        if self.quota:
            details.append(
                {
                    "@type": f"{_TYPES}QuotaFailure",
                    "violations": [{"subject": self.quota, "description": self.message}],
                }
            )
        code = HTTP[self.status]
        return code, {
            "error": {
                "code": code,
                "message": self.message,
                "status": self.status,
                "details": details,
            }
        }

    def _older(self) -> tuple[int, dict[str, Any]]:
        code, reason = _OLDER_REASONS.get(self.status, (HTTP[self.status], "backendError"))
        if self.is_rate:
            code, reason = 403, "rateLimitExceeded"
        elif self.quota:
            code, reason = 403, "quotaExceeded"
        elif self.reason == "SERVICE_DISABLED":
            reason = "accessNotConfigured"
        return code, {
            "error": {
                "code": code,
                "message": self.message,
                "errors": [{"message": self.message, "domain": "global", "reason": reason}],
            }
        }

    def grpc_status(self) -> status_pb2.Status:
        """Return it as gRPC carries it, details and all."""
        details: list[Message] = []
        if self.reason:
            details.append(
                error_details_pb2.ErrorInfo(
                    reason=self.reason, domain="googleapis.com", metadata=self.metadata
                )
            )
        if self.delay is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromTimedelta(self.delay)
            details.append(retry)
        if self.quota:
            violation = error_details_pb2.QuotaFailure.Violation(
                subject=self.quota, description=self.message
            )
            details.append(error_details_pb2.QuotaFailure(violations=[violation]))
        packed = []
        for detail in details:
            each = any_pb2.Any()
            each.Pack(detail)
            packed.append(each)
        code = code_pb2.Code.Value(self.status)
        return status_pb2.Status(code=code, message=self.message, details=packed)

    @property
    def grpc_code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self.status]


def denied(permission: str, resource: str) -> ApiError:
    return ApiError(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        reason="IAM_PERMISSION_DENIED",
        metadata={"permission": permission, "resource": resource},
    )
