"""What Terraform's errors mean to us: whether trying again can help, and what people must do."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta

from cells.infrastructure.messages import Diagnostic
from controlplane.errors import rejected, throttled

_THROTTLED = re.compile(
    r"Throttl|RequestLimitExceeded|TooManyRequests|Rate ?exceeded|SlowDown|rateLimitExceeded"
    r"|RESOURCE_EXHAUSTED|\bError 429\b|StatusCode: 429",
    re.I,
)
_DENIED = re.compile(
    r"AccessDenied|UnauthorizedOperation|not authorized to perform|AuthFailure|\bError 403\b"
    r"|StatusCode: 403|PERMISSION_DENIED|forbidden",
    re.I,
)
_NOT_YET = re.compile(r"accessNotConfigured|SERVICE_DISABLED|has not been used in project", re.I)
"""Google says this for some minutes after a service was switched on, and calls it a 403."""
_QUOTA = re.compile(
    r"LimitExceeded|QuotaExceeded|quota[^.]{0,40}exceeded|exceeded[^.]{0,40}quota"
    r"|InsufficientInstanceCapacity|maximum number of .{0,60} has been reached",
    re.I,
)
_ALREADY = re.compile(r"AlreadyExists|already exists|AlreadyOwnedByYou", re.I)
_MOVED = "Moved resource instances excluded by targeting"
_TARGET = re.compile(r'-target=("(?:[^"\\]|\\.)+")')
_THROTTLED_FOR = timedelta(seconds=30)
"""Neither cloud tells Terraform how long to wait."""
_SHOWN = 5


class TerraformFailed(Exception):
    """It did not work out, and may the next time; the message says what was reported."""


class StateLocked(TerraformFailed):
    """Somebody else is at work on this cell; the message says who."""


def failure(doing: str, errors: Sequence[Diagnostic]) -> Exception:
    """Return what to raise for what Terraform reported."""
    said = _listed(errors)
    texts = [error.text for error in errors]
    if any(_DENIED.search(text) and not _NOT_YET.search(text) for text in texts):
        return rejected(
            f"{doing}: access was denied: {said}. Give the role that builds cells this permission "
            "(its policies are in terraform/), then retry"
        )
    # A rate limit is called a limit, too.
    if any(_THROTTLED.search(text) for text in texts):
        return throttled(f"{doing}: the cloud asks us to slow down: {said}", _THROTTLED_FOR)
    if any(_QUOTA.search(text) for text in texts):
        return rejected(
            f"{doing}: a quota or the region's capacity is used up: {said}. Have it raised, then "
            "retry"
        )
    return TerraformFailed(f"{doing}: {said}")


def already_there(errors: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Return the errors of resources that are there, and that the state does not know."""
    return [error for error in errors if error.address and _ALREADY.search(error.text)]


def moved(errors: Sequence[Diagnostic]) -> list[str]:
    """Return the addresses that a plan of targets must have beside them: a newer module has moved
    them, and Terraform says so by refusing."""
    return [
        json.loads(address)
        for error in errors
        if error.summary == _MOVED
        for address in _TARGET.findall(error.detail)
    ]


def _listed(errors: Sequence[Diagnostic]) -> str:
    texts = list(dict.fromkeys(error.text.rstrip(".") for error in errors))
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
