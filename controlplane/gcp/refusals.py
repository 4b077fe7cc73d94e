"""Reads refusals out of what Google's client libraries raise."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.rpc import error_details_pb2, status_pb2
from googleapiclient.errors import HttpError

from controlplane.gcp.errors import Refusal, Status

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

_HTTP: dict[int, Status] = {
    400: Status.INVALID_ARGUMENT,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.NOT_FOUND,
    409: Status.ALREADY_EXISTS,
    412: Status.ABORTED,
    429: Status.RESOURCE_EXHAUSTED,
    501: Status.UNIMPLEMENTED,
}
_GRPC = {code.value[0]: code.name for code in grpc.StatusCode}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s?")


def from_http(call: str, error: HttpError) -> Refusal:
    """Read an answer of a REST API: `google.rpc.Status` as JSON, or the older APIs' list."""
    body = _error(error.content)
    details = [each for each in _sequence(body.get("details")) if isinstance(each, Mapping)]
    older = [each for each in _sequence(body.get("errors")) if isinstance(each, Mapping)]
    reason, metadata, quota, delay = "", dict[str, str](), "", None
    for detail in details:
        match str(detail.get("@type", "")).rpartition(".")[2]:
            case "ErrorInfo":
                reason = str(detail.get("reason", ""))
                found = detail.get("metadata")
                metadata = {k: str(v) for k, v in found.items()} if isinstance(found, dict) else {}
            case "RetryInfo":
                delay = _duration(detail.get("retryDelay"))
            case "QuotaFailure":
                violations = _sequence(detail.get("violations"))
                quota = next(
                    (str(each.get("subject", "")) for each in violations if isinstance(each, dict)),
                    "",
                )
            case _:
                pass
    return Refusal(
        call=call,
        status=_status(str(body.get("status", "")), int(error.resp.status)),
        message=str(body.get("message") or error.reason or f"HTTP {error.resp.status}"),
        reason=reason or next((str(each.get("reason", "")) for each in older), ""),
        metadata=metadata,
        delay=delay or _duration(error.resp.get("retry-after")),
        quota=quota,
    )


def from_grpc(call: str, error: GoogleAPICallError) -> Refusal:
    """Read an answer of a gRPC API."""
    code = error.grpc_status_code
    name = code.name if isinstance(code, grpc.StatusCode) else ""
    return _of(call, _named(name), error.message or "", error.details)


def from_operation(call: str, error: status_pb2.Status) -> Refusal:
    """Read why a long-running operation failed."""
    known = {
        kind.DESCRIPTOR.full_name: kind
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.RetryInfo,
            error_details_pb2.QuotaFailure,
        )
    }
    details = []
    for packed in error.details:
        kind = known.get(packed.TypeName())
        if kind is not None:
            detail = kind()
            packed.Unpack(detail)
            details.append(detail)
    return _of(call, _named(_GRPC.get(error.code, "")), error.message, details)


def from_rest_operation(call: str, error: Mapping[str, object]) -> Refusal:
    """Read why a long-running operation of a REST API failed."""
    code = error.get("code")
    name = _GRPC.get(code, "") if isinstance(code, int) else ""
    return Refusal(call, _named(name), str(error.get("message", "")))


def _of(call: str, status: Status, message: str, details: Iterable[object]) -> Refusal:
    reason, metadata, quota, delay = "", dict[str, str](), "", None
    for detail in details:
        match detail:
            case error_details_pb2.ErrorInfo():
                reason, metadata = detail.reason, dict(detail.metadata)
            case error_details_pb2.RetryInfo():
                delay = detail.retry_delay.ToTimedelta()
            case error_details_pb2.QuotaFailure():
                quota = next((each.subject for each in detail.violations), "")
            case _:
                pass
    return Refusal(call, status, message, reason, metadata, delay, quota)


def _status(name: str, http: int) -> Status:
    return _named(name) if name else _HTTP.get(http, Status.UNAVAILABLE)


def _named(name: str) -> Status:
    return Status(name) if name in Status.__members__ else Status.UNAVAILABLE


def _error(content: bytes) -> Mapping[str, Json]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _sequence(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []


def _duration(value: object) -> timedelta | None:
    matched = _DURATION.fullmatch(str(value)) if value is not None else None
    return timedelta(seconds=float(matched[1])) if matched else None
