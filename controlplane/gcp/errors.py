"""What Google's refusals mean, said once for gRPC and REST, old APIs and new.

Adapters catch `Refused` where they know better what to do about a status; what they let through
says to people what was wrong and what to do, and to Temporal whether trying again can help.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType

DEFAULT_DELAY = timedelta(seconds=30)
"""How long to wait where Google does not say."""
PERMISSIONS = "terraform/modules/control-plane-gcp"
"""Where everything that the control plane must be allowed stands."""


class Status(StrEnum):
    """Google's canonical codes (google/rpc/code.proto), as far as somebody reacts to them."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    """It, or any other failure of Google's own."""


@dataclass(frozen=True)
class Refusal:
    """One answer that is an error, whatever it was carried by."""

    call: str
    """What was asked, such as `compute.regions.get`."""
    status: Status
    message: str
    """Google's own words."""
    reason: str = ""
    """Of its ErrorInfo, or of the older APIs' list of errors."""
    metadata: dict[str, str] = field(default_factory=dict)
    delay: timedelta | None = None
    """How long Google wants to be left alone."""
    quota: str = ""
    """Which quota is used up."""


class Refused(ApplicationError):
    """Google's refusal as everybody else may see it; `status` and `reason` are for adapters."""

    def __init__(self, refusal: Refusal, identity: str) -> None:
        text, kind, delay = _meaning(refusal, identity)
        super().__init__(
            text,
            type=kind,
            non_retryable=kind == ErrorType.REJECTED,
            next_retry_delay=delay,
        )
        self.status = refusal.status
        self.reason = refusal.reason

    @property
    def is_switched_off(self) -> bool:
        """The API is not enabled in the project, so that nothing of its is there."""
        return self.reason in _SWITCHED_OFF


_SWITCHED_OFF = ("SERVICE_DISABLED", "accessNotConfigured")
_RATE_REASONS = ("RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded")
_QUOTA_REASONS = ("QUOTA_EXCEEDED", "quotaExceeded", "RESOURCE_QUOTA_EXCEEDED")
_FOR_PEOPLE = (
    Status.INVALID_ARGUMENT,
    Status.FAILED_PRECONDITION,
    Status.OUT_OF_RANGE,
    Status.UNIMPLEMENTED,
)
_PERMISSION = re.compile(r"'?\b([a-z][a-zA-Z]*\.[a-zA-Z]+\.[a-zA-Z]+)\b'?")
_RESOURCE = re.compile(r"(?:on|for) (?:resource )?'?(?://[\w.]+/)?([\w.@/-]+/[\w.@-]+)")


def _meaning(refusal: Refusal, identity: str) -> tuple[str, ErrorType | None, timedelta | None]:
    """Return what to say, how it is to be taken, and how long to wait before another try."""
    said = f"GCP answers {refusal.status} to {refusal.call}: {refusal.message}"
    if refusal.reason in _SWITCHED_OFF:
        service = refusal.metadata.get("service", "the API named there")
        return (
            f"{said} (unless {service} was enabled just now, enable it: "
            f"`gcloud services enable {service}`)",
            ErrorType.THROTTLED,
            refusal.delay or DEFAULT_DELAY,
        )
    if refusal.reason in _RATE_REASONS:
        return said, ErrorType.THROTTLED, refusal.delay or DEFAULT_DELAY
    if refusal.quota or refusal.reason in _QUOTA_REASONS:
        name = refusal.quota or refusal.metadata.get("quota_metric", "named there")
        return (
            f"{said}: the quota {name} is used up: ask for more of it at "
            "https://console.cloud.google.com/iam-admin/quotas, then try again",
            ErrorType.REJECTED,
            None,
        )
    match refusal.status:
        case Status.RESOURCE_EXHAUSTED:
            return said, ErrorType.THROTTLED, refusal.delay or DEFAULT_DELAY
        case Status.PERMISSION_DENIED:
            return _denied(refusal, identity), ErrorType.REJECTED, None
        case Status.UNAUTHENTICATED:
            return f"{said}: check the credentials of {identity}", None, refusal.delay
        case status if status in _FOR_PEOPLE:
            return said, ErrorType.REJECTED, None
        case _:
            return said, None, refusal.delay


def _denied(refusal: Refusal, identity: str) -> str:
    permission, resource = refusal.metadata.get("permission"), refusal.metadata.get("resource")
    if permission is None and (named := _PERMISSION.search(refusal.message)):
        permission = named[1]
    if resource is None and (place := _RESOURCE.search(refusal.message)):
        resource = place[1]
    return (
        f"GCP does not let {identity} do {refusal.call}: {refusal.message}: grant it "
        f"{permission or 'that permission'} on {resource or 'what it asked for'} "
        f"({PERMISSIONS} has the roles it needs)"
    )
