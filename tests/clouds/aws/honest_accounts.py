"""Organizations, STS and accounts as AWS has them, where moto is kinder.

An account takes a while to be made, its owner's address is taken once, it is moved from where it
is, and closed in two steps. A role is taken by whom it trusts, if it is there.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.account import urls as account_urls
from moto.account.responses import AccountResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.organizations.exceptions import (
    AccountAlreadyClosedException,
    AccountNotFoundException,
    OrganizationsClientError,
)
from moto.organizations.models import FakeAccount, OrganizationsBackend
from moto.sts.models import AssumedRole, STSBackend, sts_backends

from tests.clouds.aws.patches import replace_methods

OPT_IN_REGIONS = frozenset({"af-south-1", "ap-east-1", "eu-south-1", "me-south-1"})
_ADMINISTRATOR = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)


class Denied(OrganizationsClientError):
    """STS has no exception of its own for it in moto."""

    def __init__(self, message: str) -> None:
        super().__init__("AccessDenied", message)


@dataclass
class World:
    """What a test may set."""

    lag: float = 0.2
    """How many seconds AWS takes for what it does not do at once."""
    account_limit: int = 1000
    session_seconds: int = 0
    """How long sessions of roles last, whatever was asked for; 0: as asked for."""
    quotas: dict[str, float] = field(default_factory=dict)
    """By `<service>/<code>`."""
    quota_template: dict[str, float] = field(default_factory=dict)
    """What new accounts are to have beyond them."""
    failed_requests: list[dict[str, Any]] = field(default_factory=list)
    regions: dict[tuple[str, str], float] = field(default_factory=dict)
    """When the account may use the region, by both."""


WORLD = World()

_list_accounts = OrganizationsBackend.list_accounts
_list_accounts_for_parent = OrganizationsBackend.list_accounts_for_parent
_create_account = OrganizationsBackend.create_account
_status = FakeAccount.__dict__["create_account_status"].fget
_move_account = OrganizationsBackend.move_account
_assume_role = STSBackend.assume_role


def install() -> None:
    """Put all of it in place of moto's."""
    replace_methods(
        FakeAccount, create_account_status=property(_create_account_status), close=_close
    )
    replace_methods(
        OrganizationsBackend,
        list_accounts=_listed_when_made(_list_accounts),
        list_accounts_for_parent=_listed_when_made(_list_accounts_for_parent),
        create_account=_made_once,
        describe_create_account_status=_described,
        move_account=_moved_from_where_it_is,
    )
    replace_methods(STSBackend, assume_role=_taken_by_whom_it_trusts)
    replace_methods(IamResponse, simulate_principal_policy=_simulated)
    replace_methods(
        AccountResponse, get_region_opt_status=_region_status, enable_region=_region_enabled
    )
    for path in ("getRegionOptStatus", "enableRegion"):
        account_urls.url_paths[f"{{0}}/{path}$"] = AccountResponse.dispatch


def session_of(access_key: str) -> str:
    """Return the session name of a role's access key; empty for any other."""
    role = _assumed(access_key)
    return "" if role is None else str(role.session_name)


def policies_of(access_key: str) -> tuple[str, str]:
    """Return the role and the session policy of an access key, both empty for a user's."""
    role = _assumed(access_key)
    return ("", "") if role is None else (str(role.role_arn), str(role.policy or ""))


def secret_of(access_key: str) -> tuple[str, str] | None:
    """Return secret key and session token of a role's access key."""
    role = _assumed(access_key)
    return None if role is None else (role.secret_access_key, role.session_token)


def _assumed(access_key: str) -> AssumedRole | None:
    for partitions in list(sts_backends.values()):
        for backend in list(partitions.values()):
            role = backend.get_assumed_role_from_access_key(access_key)
            if role is not None:
                return role
    return None


def _made_once(self: OrganizationsBackend, **asked: Any) -> dict[str, Any]:
    failure = ""
    if any(one.email.lower() == asked["Email"].lower() for one in self.accounts):
        failure = "EMAIL_ALREADY_EXISTS"
    elif len(self.accounts) >= WORLD.account_limit:
        failure = "ACCOUNT_LIMIT_EXCEEDED"
    if failure:
        status = {
            "Id": f"car-{len(WORLD.failed_requests):032x}",
            "AccountName": asked["AccountName"],
            "State": "IN_PROGRESS",
            "RequestedTimestamp": time.time(),
        }
        WORLD.failed_requests.append(
            {**status, "State": "FAILED", "FailureReason": failure, "due": time.time() + WORLD.lag}
        )
        return {"CreateAccountStatus": status}
    answer = _create_account(self, **asked)
    made = self.accounts[-1]
    made.due = time.time() + WORLD.lag  # type: ignore[attr-defined]
    role = asked.get("RoleName", "OrganizationAccountAccessRole")
    iam_backends[made.id]["aws"].put_role_policy(role, "AdministratorAccess", _ADMINISTRATOR)
    status = dict(answer["CreateAccountStatus"])
    return {"CreateAccountStatus": _unfinished(status)}


def _listed_when_made(listing: Callable[..., Any]) -> Callable[..., Any]:
    """Return a listing without the accounts that are still being made."""

    def listed(self: OrganizationsBackend, *args: Any, **kwargs: Any) -> Any:
        everything = self.accounts
        self.accounts = [one for one in everything if time.time() >= getattr(one, "due", 0.0)]
        try:
            return listing(self, *args, **kwargs)
        finally:
            self.accounts = everything

    return listed


def _create_account_status(account: FakeAccount) -> dict[str, Any]:
    answer = dict(_status(account)["CreateAccountStatus"])
    if time.time() < getattr(account, "due", 0.0):
        answer = _unfinished(answer)
    return {"CreateAccountStatus": answer}


def _unfinished(status: dict[str, Any]) -> dict[str, Any]:
    kept = {key: status[key] for key in ("Id", "AccountName", "RequestedTimestamp")}
    return {**kept, "State": "IN_PROGRESS"}


def _described(self: OrganizationsBackend, **asked: Any) -> dict[str, Any]:
    wanted = asked["CreateAccountRequestId"]
    for failed in WORLD.failed_requests:
        if failed["Id"] == wanted:
            if time.time() < failed["due"]:
                return {"CreateAccountStatus": _unfinished(failed)}
            told = {key: value for key, value in failed.items() if key != "due"}
            return {"CreateAccountStatus": told}
    account = self.get_account_by_attr("create_account_status_id", wanted)
    return dict(account.create_account_status)


def _moved_from_where_it_is(self: OrganizationsBackend, **asked: Any) -> None:
    account = self.get_account_by_id(asked["AccountId"])
    if account.parent_id == asked["DestinationParentId"]:
        raise OrganizationsClientError(
            "DuplicateAccountException", "That account is already present in the destination."
        )
    if account.parent_id != asked["SourceParentId"]:
        raise AccountNotFoundException
    _move_account(self, **asked)


def _close(account: FakeAccount) -> None:
    if account.state in ("SUSPENDED", "PENDING_CLOSURE"):
        raise AccountAlreadyClosedException
    account.status = account.state = "PENDING_CLOSURE"
    # Nobody gets into it from now on.
    iam_backends[account.id]["aws"].roles.clear()


def _taken_by_whom_it_trusts(self: STSBackend, **asked: Any) -> AssumedRole:
    arn = asked["role_arn"]
    account = arn.split(":")[4]
    denial = Denied(
        f"User: arn:aws:iam::{self.account_id}:root is not authorized to perform: sts:AssumeRole "
        f"on resource: {arn}"
    )
    found = [role for role in iam_backends[account]["aws"].get_roles() if role.arn == arn]
    if not found:
        raise denial
    if not _trusts(found[0].assume_role_policy_document, self.account_id, asked["external_id"]):
        raise denial
    if WORLD.session_seconds:
        asked["duration"] = WORLD.session_seconds
    return _assume_role(self, **asked)


def _trusts(document: str, account: str, external_id: str | None) -> bool:
    for statement in json.loads(document)["Statement"]:
        principals = statement["Principal"].get("AWS", [])
        principals = [principals] if isinstance(principals, str) else principals
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        if any(account in one for one in principals) and wanted in (None, external_id):
            return True
    return False


def _simulated(response: IamResponse) -> ActionResult:
    arn = response._get_param("PolicySourceArn")
    actions = response._get_param("ActionNames")
    (resource,) = response._get_param("ResourceArns") or ["*"]
    backend = iam_backends[arn.split(":")[4]]["aws"]
    role = backend.get_role_by_arn(arn)
    policies = [
        IAMPolicy(backend.get_role_policy(role.name, name)[1])
        for name in backend.list_role_policies(role.name)
    ]
    results = []
    for action in actions:
        verdicts = [policy.is_action_permitted(action, resource) for policy in policies]
        if PermissionResult.DENIED in verdicts:
            decision = "explicitDeny"
        elif PermissionResult.PERMITTED in verdicts:
            decision = "allowed"
        else:
            decision = "implicitDeny"
        results.append(
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision}
        )
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


def _region_status(response: AccountResponse) -> ActionResult:
    region = response._get_param("RegionName")
    due = WORLD.regions.get((response.current_account, region))
    if region not in OPT_IN_REGIONS:
        status = "ENABLED_BY_DEFAULT"
    elif due is None:
        status = "DISABLED"
    else:
        status = "ENABLED" if time.time() >= due else "ENABLING"
    return ActionResult({"RegionName": region, "RegionOptStatus": status})


def _region_enabled(response: AccountResponse) -> EmptyResult:
    key = (response.current_account, response._get_param("RegionName"))
    WORLD.regions.setdefault(key, time.time() + WORLD.lag)
    return EmptyResult()
