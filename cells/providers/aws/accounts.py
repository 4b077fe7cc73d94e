"""The accounts of cells: found, made, put in their place, and closed, under AWS Organizations.

An account is found by its owner's address, which derives from the cell's uid and which AWS takes
once in all the world: whatever is asked twice, by us or by a library that tries again, one is made.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws.settings import AwsSettings
from controlplane.aws.errors import code_of, reason_of
from controlplane.aws.identity import Identity
from controlplane.errors import rejected, throttled

TAG_CELL, TAG_UID = "controlplane-cell", "controlplane-uid"
"""The keys of the tags that everything made for a cell carries."""

_LONGEST_NAME = 50
_MAKING_DELAY = timedelta(seconds=5)
_ACTIVATION_DELAY = timedelta(seconds=30)
_CLOSING_DELAY = timedelta(hours=6)
_ALREADY_MOVED = (
    "AccountNotFoundException",
    "DuplicateAccountException",
    "SourceParentNotFoundException",
)


@dataclass(frozen=True)
class Accounts:
    """The accounts of one organisation, as its management account sees them."""

    organization: Identity
    settings: AwsSettings
    pause: timedelta
    """Between two looks at what AWS is doing."""

    async def find(self, blueprint: Blueprint) -> str | None:
        """Return the id of the cell's account, unless it has none or that is being closed."""
        found = await self._listed(blueprint)
        return None if found is None or _is_over(found) else str(found["Id"])

    async def ensure(self, blueprint: Blueprint) -> str:
        """Return the id of the cell's account, made, in its unit, and tagged."""
        found = await self._listed(blueprint) or await self._made(blueprint)
        account = str(found["Id"])
        if _is_over(found):
            raise rejected(
                f"account {account} of cell {blueprint.cell} is closed or being closed, and AWS "
                f"gives its address {found['Email']} to no other: abandon this cell, and create "
                "one of another name"
            )
        if _state(found) == "PENDING_ACTIVATION":
            raise throttled(f"AWS has yet to activate account {account}", _ACTIVATION_DELAY)
        await self._put_in_place(account)
        await self._tag(account, blueprint)
        return account

    async def is_open(self, account: str) -> bool:
        """Tell whether the account is there and not being closed."""
        found = await self._described(account)
        return found is not None and not _is_over(found)

    async def close(self, blueprint: Blueprint, account: str) -> None:
        """Ask for the account to be closed, unless it is another cell's."""
        found = await self._described(account)
        if found is None or _is_over(found):
            return
        email = self.settings.email(blueprint.uid)
        if found["Email"].lower() != email.lower():
            raise rejected(
                f"account {account} belongs to {found['Email']}, not to cell {blueprint.cell} "
                f"({email}): it is not closed; look whose it is"
            )
        try:
            await self.organization.ask(self._client.close_account, AccountId=account)
        except Exception as error:
            if code_of(error) == "AccountAlreadyClosedException":
                return
            if reason_of(error).startswith("CLOSE_ACCOUNT_"):
                # A tenth of an organisation's accounts in thirty days, and few at a time.
                message = f"AWS closes no more accounts for now: {error}"
                raise throttled(message, _CLOSING_DELAY) from error
            raise

    async def count(self) -> int:
        """Return how many accounts count against the organisation's limit."""
        return len(await self.organization.pages(self._client, "list_accounts", "Accounts"))

    @property
    def _client(self) -> Any:
        # Organizations has one endpoint in each partition.
        return self.organization.client("organizations")

    async def _listed(self, blueprint: Blueprint) -> dict[str, Any] | None:
        """Look where the account should be first: an organisation can be large, its pages small."""
        email = self.settings.email(blueprint.uid).lower()
        unit = {"ParentId": self.settings.organizational_unit}
        for operation, where in (("list_accounts_for_parent", unit), ("list_accounts", {})):
            for account in await self.organization.pages(
                self._client, operation, "Accounts", **where
            ):
                if account["Email"].lower() == email:
                    return dict(account)
        return None

    async def _made(self, blueprint: Blueprint) -> dict[str, Any]:
        status = await self._under_way(blueprint) or await self._begun(blueprint)
        while status["State"] == "IN_PROGRESS":
            await asyncio.sleep(self.pause.total_seconds())
            answer = await self.organization.ask(
                self._client.describe_create_account_status, CreateAccountRequestId=status["Id"]
            )
            status = answer["CreateAccountStatus"]
        if status["State"] == "SUCCEEDED":
            made = await self._described(status["AccountId"])
            if made is None:
                raise RuntimeError(f"AWS made account {status['AccountId']} and does not show it")
            return made
        reason = status.get("FailureReason", "")
        if reason == "EMAIL_ALREADY_EXISTS":
            # Asked for before, by a call whose answer was lost.
            made = await self._listed(blueprint)
            if made is not None:
                return made
            if await self._under_way(blueprint) is not None:
                raise throttled("AWS is making the account already", _MAKING_DELAY)
        raise _failed(reason, self.settings.email(blueprint.uid))

    async def _under_way(self, blueprint: Blueprint) -> dict[str, Any] | None:
        name = account_name(blueprint)
        for status in await self.organization.pages(
            self._client,
            "list_create_account_status",
            "CreateAccountStatuses",
            States=["IN_PROGRESS"],
        ):
            if status["AccountName"] == name:
                return dict(status)
        return None

    async def _begun(self, blueprint: Blueprint) -> dict[str, Any]:
        # Tried once: whoever tries again looks first for what became of it.
        client = self.organization.client("organizations", tries=1)
        answer = await self.organization.ask(
            client.create_account,
            Email=self.settings.email(blueprint.uid),
            AccountName=account_name(blueprint),
            RoleName=self.settings.cell_role,
            IamUserAccessToBilling="DENY",
            Tags=_tags(blueprint),
        )
        return dict(answer["CreateAccountStatus"])

    async def _described(self, account: str) -> dict[str, Any] | None:
        try:
            answer = await self.organization.ask(self._client.describe_account, AccountId=account)
        except Exception as error:
            if code_of(error) == "AccountNotFoundException":
                return None
            raise
        return dict(answer["Account"])

    async def _put_in_place(self, account: str) -> None:
        unit = self.settings.organizational_unit
        parent = await self._parent(account)
        if parent == unit:
            return
        try:
            await self.organization.ask(
                self._client.move_account,
                AccountId=account,
                SourceParentId=parent,
                DestinationParentId=unit,
            )
        except Exception as error:
            # The first of two tries may have moved it.
            if code_of(error) not in _ALREADY_MOVED or await self._parent(account) != unit:
                raise

    async def _parent(self, account: str) -> str:
        answer = await self.organization.ask(self._client.list_parents, ChildId=account)
        return str(answer["Parents"][0]["Id"])

    async def _tag(self, account: str, blueprint: Blueprint) -> None:
        wanted = _tags(blueprint)
        found = await self.organization.pages(
            self._client, "list_tags_for_resource", "Tags", ResourceId=account
        )
        if any(tag not in found for tag in wanted):
            await self.organization.ask(self._client.tag_resource, ResourceId=account, Tags=wanted)


def account_name(blueprint: Blueprint) -> str:
    """Return what people see: the cell's name, and its uid, which is never cut off."""
    room = _LONGEST_NAME - len(blueprint.uid) - 1
    return f"{blueprint.cell[:room]} {blueprint.uid}"


def _tags(blueprint: Blueprint) -> list[dict[str, str]]:
    return [
        {"Key": TAG_CELL, "Value": blueprint.cell},
        {"Key": TAG_UID, "Value": blueprint.uid},
    ]


def _state(account: dict[str, Any]) -> str:
    # `Status` is what older endpoints say instead.
    return str(account.get("State") or account.get("Status", ""))


def _is_over(account: dict[str, Any]) -> bool:
    return _state(account) in ("SUSPENDED", "PENDING_CLOSURE", "CLOSED")


def _failed(reason: str, email: str) -> ApplicationError:
    """Say why no account was made, and whether that passes by itself."""
    match reason:
        case "ACCOUNT_LIMIT_EXCEEDED":
            return rejected(
                "the organisation has as many accounts as it may have (quota L-E619E033 of "
                "Organizations): ask for a higher one in the management account under Service "
                "Quotas, then try again"
            )
        case "EMAIL_ALREADY_EXISTS":
            return rejected(
                f"{email} is the address of an AWS account outside this organisation: set another "
                "CONTROLPLANE_AWS_EMAIL_PATTERN"
            )
        case "INVALID_EMAIL" | "INVALID_ADDRESS":
            return rejected(
                f"AWS answers {reason} to an account of {email}: correct the "
                "CONTROLPLANE_AWS_EMAIL_PATTERN, or the organisation's own address"
            )
        case "CONCURRENT_ACCOUNT_MODIFICATION" | "INTERNAL_FAILURE":
            return throttled(f"AWS made no account: {reason}", timedelta(minutes=1))
        case _:
            return rejected(
                f"AWS made no account for {email}: {reason or 'without a reason'}: see to it in "
                "the management account, under Billing and AWS Organizations, then try again"
            )
