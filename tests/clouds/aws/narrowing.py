"""IAM as AWS enforces it, where moto looks away: session policies narrow a role down."""

import contextlib
import threading
from collections.abc import Iterator

from moto.iam.access_control import IAMPolicy, IAMRequest, IAMRequestBase, PermissionResult

from tests.clouds.aws.honest_accounts import policies_of

_check = IAMRequestBase.check_action_permitted
_check_signature = IAMRequestBase.check_signature
_checked = threading.local()


def install() -> None:
    """Put it in place of moto's."""
    IAMRequestBase.check_action_permitted = _narrowed  # type: ignore[method-assign]
    IAMRequestBase.check_signature = _signature  # type: ignore[method-assign]


@contextlib.contextmanager
def trusted() -> Iterator[None]:
    """Take the signatures of this thread's requests for checked already."""
    _checked.already = True
    try:
        yield
    finally:
        _checked.already = False


def _signature(request: IAMRequestBase) -> None:
    if not getattr(_checked, "already", False):
        _check_signature(request)


def _narrowed(request: IAMRequestBase, resource: str) -> None:
    if not _crosses_accounts(request, resource):
        _check(request, resource)
    _, session_policy = policies_of(request._access_key._access_key_id)
    if not session_policy or request._action == "sts:GetCallerIdentity":
        return
    verdict = IAMPolicy(session_policy).is_action_permitted(request._action, resource)
    if verdict is not PermissionResult.PERMITTED:
        assert isinstance(request, IAMRequest)
        request._raise_access_denied()


def _crosses_accounts(request: IAMRequestBase, resource: str) -> bool:
    """Tell whether a role of another account is to be taken: whom that trusts is seen to there,
    moto would look for it among its caller's."""
    return request._action == "sts:AssumeRole" and f"::{request.account_id}:" not in resource
