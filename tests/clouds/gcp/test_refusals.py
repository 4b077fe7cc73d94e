"""What Google's refusals mean, however they are written."""

import json
from datetime import timedelta

import httplib2
import pytest
from google.api_core.exceptions import ResourceExhausted
from google.rpc import code_pb2, error_details_pb2, status_pb2
from googleapiclient.errors import HttpError

from controlplane.errors import ErrorType
from controlplane.gcp.errors import DEFAULT_DELAY, Refused, Status
from controlplane.gcp.refusals import from_grpc, from_http, from_operation
from tests.clouds.gcp.api_errors import ApiError, denied

US = "serviceAccount:us@example.com"
SECONDS = timedelta(seconds=7)


def over_rest(error: ApiError, *, older: bool) -> Refused:
    code, body = error.rest(older=older)
    response = httplib2.Response({"status": str(code)})
    refusal = from_http("an.api.call", HttpError(response, json.dumps(body).encode()))
    return Refused(refusal, US)


def of_an_operation(error: ApiError) -> Refused:
    return Refused(from_operation("an.api.call", error.grpc_status()), US)


RATE = ApiError(
    "RESOURCE_EXHAUSTED", "slow down", "RATE_LIMIT_EXCEEDED", delay=SECONDS, is_rate=True
)
QUOTA = ApiError("RESOURCE_EXHAUSTED", "Quota 'CPUS' exceeded", quota="CPUS")
DENIED = denied("compute.regions.get", "projects/p")
SWITCHED_OFF = ApiError(
    "PERMISSION_DENIED",
    "It is disabled.",
    reason="SERVICE_DISABLED",
    metadata={"service": "compute.googleapis.com"},
)


@pytest.mark.parametrize(
    ("error", "kind", "delay"),
    [
        (RATE, ErrorType.THROTTLED, SECONDS),
        (QUOTA, ErrorType.REJECTED, None),
        (DENIED, ErrorType.REJECTED, None),
        (SWITCHED_OFF, ErrorType.THROTTLED, DEFAULT_DELAY),
        (ApiError("RESOURCE_EXHAUSTED", "busy"), ErrorType.THROTTLED, DEFAULT_DELAY),
        (ApiError("INVALID_ARGUMENT", "no such field"), ErrorType.REJECTED, None),
        (ApiError("FAILED_PRECONDITION", "a lien"), ErrorType.REJECTED, None),
        (ApiError("UNAVAILABLE", "try later"), None, None),
        (ApiError("ABORTED", "concurrent"), None, None),
        (ApiError("NOT_FOUND", "nothing"), None, None),
        (ApiError("UNAUTHENTICATED", "expired"), None, None),
    ],
    ids=lambda value: getattr(value, "reason", "") or getattr(value, "status", ""),
)
def test_whether_trying_again_helps_and_when_is_the_same_over_rest_and_in_operations(
    error: ApiError, kind: ErrorType | None, delay: timedelta | None
) -> None:
    for refused in (over_rest(error, older=False), of_an_operation(error)):
        assert refused.type == kind
        assert refused.next_retry_delay == delay
        assert refused.non_retryable == (kind == ErrorType.REJECTED)
        assert error.message in refused.message
        assert "an.api.call" in refused.message


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (RATE, Status.PERMISSION_DENIED, ErrorType.THROTTLED),
        (QUOTA, Status.PERMISSION_DENIED, ErrorType.REJECTED),
        (DENIED, Status.PERMISSION_DENIED, ErrorType.REJECTED),
        (SWITCHED_OFF, Status.PERMISSION_DENIED, ErrorType.THROTTLED),
        (ApiError("ABORTED", "etag"), Status.ABORTED, None),
        (ApiError("ALREADY_EXISTS", "there"), Status.ALREADY_EXISTS, None),
        (ApiError("NOT_FOUND", "nothing"), Status.NOT_FOUND, None),
        (ApiError("UNAVAILABLE", "later"), Status.UNAVAILABLE, None),
    ],
    ids=lambda value: getattr(value, "reason", "") or getattr(value, "status", ""),
)
def test_the_older_apis_errors_are_understood_too(
    error: ApiError, status: Status, kind: ErrorType | None
) -> None:
    refused = over_rest(error, older=True)

    assert refused.status is status
    assert refused.type == kind


def test_what_is_to_be_granted_is_named_and_to_whom_and_where() -> None:
    for refused in (over_rest(DENIED, older=False), over_rest(DENIED, older=True)):
        assert refused.message.startswith(f"GCP does not let {US} do an.api.call: ")
        assert "grant it compute.regions.get on projects/p" in refused.message
        assert "terraform/modules/control-plane-gcp" in refused.message


def test_an_api_that_is_switched_off_is_told_from_a_permission_that_is_missing() -> None:
    assert over_rest(SWITCHED_OFF, older=False).is_switched_off
    assert over_rest(SWITCHED_OFF, older=True).is_switched_off
    assert not over_rest(DENIED, older=False).is_switched_off
    assert "gcloud services enable compute.googleapis.com" in (
        over_rest(SWITCHED_OFF, older=False).message
    )


def test_grpc_s_errors_carry_the_same_details() -> None:
    info = error_details_pb2.ErrorInfo(reason="RATE_LIMIT_EXCEEDED")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromTimedelta(SECONDS)
    error = ResourceExhausted("slow down", details=[info, retry])  # type: ignore[no-untyped-call]  # Has no types.

    refused = Refused(from_grpc("projects.get", error), US)

    assert refused.type == ErrorType.THROTTLED
    assert refused.next_retry_delay == SECONDS


def test_an_answer_that_is_no_json_is_google_s_own_failure() -> None:
    response = httplib2.Response({"status": "502"})
    refused = Refused(from_http("a.call", HttpError(response, b"<html>Bad Gateway</html>")), US)

    assert refused.status is Status.UNAVAILABLE
    assert not refused.non_retryable


def test_an_unknown_code_of_an_operation_is_google_s_own_failure() -> None:
    status = status_pb2.Status(code=code_pb2.Code.DATA_LOSS, message="gone")

    assert from_operation("a.call", status).status is Status.UNAVAILABLE
