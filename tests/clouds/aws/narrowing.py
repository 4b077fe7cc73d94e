"""IAM as AWS enforces it, where moto looks away: session policies narrow a role down."""

from moto.iam.access_control import IAMPolicy, IAMRequestBase, PermissionResult

from tests.clouds.aws.honest_accounts import policies_of
from tests.clouds.aws.patches import replace_methods

_check = IAMRequestBase.check_action_permitted

_PERMISSIONS = {"s3:HeadBucket": "s3:ListBucket"}
"""By operation: the permission it takes, where that is called otherwise."""


def install() -> None:
    """Put it in place of moto's."""
    replace_methods(
        IAMRequestBase,
        check_action_permitted=_narrowed,
        check_signature=_taken_for_right,
        _is_assuming_role_operation=_seen_to_elsewhere,
    )


def _taken_for_right(_request: IAMRequestBase) -> None:
    """Check no signature: moto calculates those of some services wrongly. Keys and tokens count."""


def _narrowed(request: IAMRequestBase, resource: str) -> None:
    request._action = _PERMISSIONS.get(request._action, request._action)
    _check(request, resource)
    _, session_policy = policies_of(request._access_key._access_key_id)
    if not session_policy or request._action == "sts:GetCallerIdentity":
        return
    verdict = IAMPolicy(session_policy).is_action_permitted(request._action, resource)
    if verdict is not PermissionResult.PERMITTED:
        request._raise_access_denied()


def _seen_to_elsewhere(_request: IAMRequestBase, _resource: str) -> bool:
    """Whom a role trusts is seen to when it is taken, also across accounts (`honest_accounts`)."""
    return False
