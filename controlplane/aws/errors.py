"""AWS's errors as ours: who was refused what, whether trying again can help, and what to do."""

import re
from datetime import timedelta

from botocore import exceptions as core
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)

from controlplane.errors import rejected, throttled

DEFAULT_DELAY = timedelta(seconds=10)
"""How long AWS is left alone when it throttles and does not say for how long."""
CONFLICT_DELAY = timedelta(seconds=5)

_THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIALS = frozenset(
    {
        "403",  # What HEAD says, which has no body to say more.
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "Client.UnauthorizedOperation",
        "UnauthorizedOperation",
    }
)
_STALE_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CONFLICTS = frozenset(
    {
        "ConcurrentModificationException",
        "ConflictException",
        "FinalizingOrganizationException",
        "OperationAborted",
        "ResourceInUseException",
        "TransactionInProgressException",
    }
)
_INVALID = frozenset(
    {
        "DestinationParentNotFoundException",
        "InvalidInput",
        "InvalidInputException",
        "InvalidParameterException",
        "InvalidParameterValue",
        "InvalidRequestException",
        "MalformedPolicyDocument",
        "ParentNotFoundException",
        "ValidationError",
        "ValidationException",
    }
)
_QUOTA = re.compile(r"(?:LimitExceeded|QuotaExceeded|Quota|LIMIT_EXCEEDED|QUOTA_EXCEEDED)\w*$")
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    TokenRetrievalError,
)
_POLICIES = "terraform/modules/control-plane-aws"
"""Where the policies of the control plane's roles are written."""


def translated(error: ClientError | BotoCoreError, service: str, actor: str) -> Exception:
    """Return what to raise instead, `from` the error: of `controlplane.errors` where that says
    more, else a RuntimeError, ConnectionError or TimeoutError that may be tried again."""
    if isinstance(error, ClientError):
        return _refused(error, service, actor)
    if isinstance(error, _NO_CREDENTIALS):
        return rejected(
            f"this process has no AWS credentials ({error}): give it a role, or set "
            "AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if isinstance(error, ReadTimeoutError):
        return TimeoutError(f"AWS {service} did not answer {actor} in time: {error}")
    if isinstance(error, core.ConnectionError | core.HTTPClientError):
        return ConnectionError(f"AWS {service} did not answer {actor}: {error}")
    return RuntimeError(f"AWS {service} could not be asked by {actor}: {error}")


def code_of(error: BaseException) -> str:
    """Return AWS's own code of what was translated; empty when it was no answer of AWS."""
    cause = error.__cause__
    return str(cause.response["Error"].get("Code", "")) if isinstance(cause, ClientError) else ""


def reason_of(error: BaseException) -> str:
    """Return AWS's `Reason` of what was translated, which some services give beside the code."""
    cause = error.__cause__
    return str(cause.response.get("Reason", "")) if isinstance(cause, ClientError) else ""


def _refused(error: ClientError, service: str, actor: str) -> Exception:
    code = str(error.response["Error"].get("Code", ""))
    message = str(error.response["Error"].get("Message", ""))
    # Credentials are refreshed within other calls, whose services have nothing to do with it.
    asked = "sts" if error.operation_name == "AssumeRole" else service
    action = f"{asked}:{_PERMISSIONS.get(error.operation_name, error.operation_name)}"
    answer = f"AWS answers {code} to {action} by {actor}: {message}"
    reason = str(error.response.get("Reason", ""))
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    if code in _THROTTLES or status == 429:
        return throttled(answer, _delay(metadata.get("HTTPHeaders", {})))
    if code in _DENIALS:
        return rejected(
            f"AWS does not let {actor} do {action} ({code}: {message}): allow it in the policies "
            f"of {_POLICIES}, apply that, and look for service control policies that deny it"
        )
    if code in _STALE_CREDENTIALS:
        return RuntimeError(f"{answer}: its credentials are renewed with the next try")
    if _QUOTA.search(code) or _QUOTA.search(reason):
        named = f"{code} {reason}".strip()
        return rejected(
            f"{action} would exceed a quota of AWS ({named}: {message}): ask for a higher one in "
            "the console under Service Quotas, then try again"
        )
    if code in _CONFLICTS:
        return throttled(answer, CONFLICT_DELAY)
    if status >= 500 or code not in _INVALID:
        return RuntimeError(answer)
    return rejected(answer)


_PERMISSIONS = {"HeadBucket": "ListBucket"}
"""By operation: the permission it takes, where that is called otherwise."""


def _delay(headers: dict[str, str]) -> timedelta:
    seconds = headers.get("retry-after", "")
    return timedelta(seconds=int(seconds)) if seconds.isdecimal() else DEFAULT_DELAY
