"""What stands against a cell in AWS, found before anything is made."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.exceptions import ApplicationError

from cells.life.types import Blueprint
from cells.providers.aws.accounts import Accounts
from cells.providers.aws.permissions import looked_for
from cells.providers.aws.quotas import ACCOUNTS, Need, needs
from cells.providers.aws.settings import AwsSettings
from controlplane.aws.errors import code_of
from controlplane.aws.identity import Identity
from controlplane.errors import ErrorType

_GLOBAL_REGION = "us-east-1"
"""Where the quotas of global services are, and the template for those of new accounts."""


@dataclass(frozen=True)
class Preflight:
    """Looks at one organisation. Changes nothing."""

    organization: Identity
    accounts: Accounts
    settings: AwsSettings

    async def obstacles(
        self, blueprint: Blueprint, account: str | None, cell: Identity
    ) -> Sequence[str]:
        """Return what stands against the cell; `cell` acts in its account, where it has one."""
        checks = [
            self._permissions(),
            self._unit(),
            self._region(blueprint),
            self._state_bucket(),
            self._quotas(blueprint, self.organization if account is None else cell, account),
        ]
        if account is None:
            checks.append(self._room_for_account())
        found = await asyncio.gather(*(_told(check) for check in checks))
        return [obstacle for obstacles in found for obstacle in obstacles]

    async def _permissions(self) -> list[str]:
        results = await asyncio.gather(
            *(self._denied(where, actions) for where, actions in looked_for(self.settings))
        )
        denied = [action for actions in results for action in actions]
        if not denied:
            return []
        return [
            f"{self.organization.name} may not do {', '.join(denied)}: apply "
            "terraform/modules/control-plane-aws, which allows it"
        ]

    async def _denied(self, where: str, actions: Sequence[str]) -> list[str]:
        results = await self.organization.pages(
            self.organization.client("iam"),
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=self.settings.organization_role,
            ActionNames=list(actions),
            ResourceArns=[where],
        )
        return [one["EvalActionName"] for one in results if one["EvalDecision"] != "allowed"]

    async def _unit(self) -> list[str]:
        unit = self.settings.organizational_unit
        organizations = self.organization.client("organizations")
        try:
            await self.organization.ask(
                organizations.describe_organizational_unit, OrganizationalUnitId=unit
            )
        except Exception as error:
            if code_of(error) != "OrganizationalUnitNotFoundException":
                raise
            return [
                f"the organisation has no unit {unit}: make it, or correct "
                "CONTROLPLANE_AWS_ORGANIZATIONAL_UNIT"
            ]
        return []

    async def _region(self, blueprint: Blueprint) -> list[str]:
        """Regions that want to be enabled are, once the account is made (see `regions.py`)."""
        ec2 = self.organization.client("ec2")
        answer = await self.organization.ask(ec2.describe_regions, AllRegions=True)
        region = blueprint.cloud_region
        if region in (one["RegionName"] for one in answer["Regions"]):
            return []
        return [f"AWS has no region {region}: create the cell in another"]

    async def _state_bucket(self) -> list[str]:
        bucket = self.settings.state_bucket
        s3 = self.organization.client("s3", self.settings.state_region)
        try:
            await self.organization.ask(s3.head_bucket, Bucket=bucket)
        except Exception as error:
            if code_of(error) not in ("404", "NoSuchBucket"):
                raise
            return [
                f"there is no bucket {bucket} for the state of Terraform: apply "
                "terraform/modules/control-plane-aws, or correct CONTROLPLANE_AWS_STATE_BUCKET"
            ]
        answer = await self.organization.ask(s3.get_bucket_versioning, Bucket=bucket)
        if answer.get("Status") == "Enabled":
            return []
        return [
            f"bucket {bucket} keeps no versions, so that a lost state would be lost for good: "
            "enable versioning on it"
        ]

    async def _quotas(
        self, blueprint: Blueprint, asking: Identity, account: str | None
    ) -> list[str]:
        """Compare what is granted with what a cell takes: its account holds nothing else."""
        region = blueprint.cloud_region
        wanted = needs(blueprint.capacity)
        granted = await asyncio.gather(
            *(
                _granted(asking, need, region)
                if account
                else _granted_when_new(asking, need, region)
                for need in wanted
            )
        )
        where = f"account {account}" if account else "a new account"
        how = (
            "ask for a higher one there"
            if account
            else "add it to the organisation's quota request template, for accounts to come,"
        )
        return [
            f"{where} may have {amount} {need.what} in {region}, and the cell takes {need.amount}: "
            f"{how} under Service Quotas (quota {need.code} of {need.service})"
            for need, amount in zip(wanted, granted, strict=True)
            if amount is not None and amount < need.amount
        ]

    async def _room_for_account(self) -> list[str]:
        limit = await _granted(self.organization, ACCOUNTS, _GLOBAL_REGION)
        count = await self.accounts.count()
        if limit is None or count < limit:
            return []
        return [
            f"the organisation has {count} accounts and may have {limit}, closed ones of the last "
            f"90 days included: ask for a higher quota {ACCOUNTS.code} of {ACCOUNTS.service} in "
            "the management account under Service Quotas"
        ]


async def _told(check: Awaitable[list[str]]) -> list[str]:
    """Return what was found; what only a person can change, such as a permission, stands against
    the cell as well, and no other check waits for it."""
    try:
        return await check
    except ApplicationError as error:
        if error.type == ErrorType.REJECTED:
            return [error.message]
        raise


async def _granted(asking: Identity, need: Need, region: str) -> int | None:
    """Return how much AWS grants; None when it does not say, which is no reason to wait."""
    quotas = asking.client("service-quotas", region)
    applied = await _said(asking, quotas.get_service_quota, need)
    # Those that were never changed may have a default only.
    return applied if applied is not None else await _default(asking, need, region)


async def _granted_when_new(asking: Identity, need: Need, region: str) -> int | None:
    """Return how much an account will have that is yet to be made."""
    default = await _default(asking, need, region)
    if default is None or default >= need.amount:
        return default
    quotas = asking.client("service-quotas", _GLOBAL_REGION)
    template = await _said(
        asking, quotas.get_service_quota_increase_request_from_template, need, AwsRegion=region
    )
    return max(default, template or 0)


async def _default(asking: Identity, need: Need, region: str) -> int | None:
    quotas = asking.client("service-quotas", region)
    return await _said(asking, quotas.get_aws_default_service_quota, need)


async def _said(asking: Identity, call: Callable[..., Any], need: Need, **where: str) -> int | None:
    try:
        answer = await asking.ask(call, ServiceCode=need.service, QuotaCode=need.code, **where)
    except Exception as error:
        if code_of(error) == "NoSuchResourceException":
            return None
        raise
    if "Quota" in answer:
        return int(answer["Quota"]["Value"])
    return int(answer["ServiceQuotaIncreaseRequestInTemplate"]["DesiredValue"])
